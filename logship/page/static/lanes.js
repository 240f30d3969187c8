// Lanes: the activity of one or all workers on one time axis.
import { html } from "./html.js";
import { useState } from "./vendor/hooks.js";
import * as charts from "./charts.js";
import { ask, idle, latencies, series, useAnswer, within } from "./api.js";
import { Axis, ahead, Legend, CLASSES, Numbers, Plot, workerAddress } from "./parts.js";
import { exactly, go, href, usePlace, zoneOf } from "./url.js";
import { msOf, range, stepFor } from "./time.js";
import { all, is, REQUESTS } from "./kql.js";
import * as words from "./words.js";

/** @typedef {import("./url.js").Window} Window */
/** @typedef {import("./words.js").Event} Event */
/** @typedef {Map<string, Map<string, number[]>>} Traffic By node and class of status. */
/** @typedef {Map<string, {p50: (number | null)[], p99: (number | null)[]}>} Latency */

const NODE = "service.node.name";

/** Everything about a window, read with one request; its buckets as lists for charts.
 * @param {Window} window @param {string} [q] */
export function useOverview(window, q = "") {
  const span = { since: window.since, until: window.until },
    step = stepFor(window.span, 45);
  return useAnswer(`overview ${q} ${window.since} ${window.until} ${window.every}`, async (signal) => {
    const widths = { every_ns: window.every * 1e6, latency_every_ns: step * 1e6 };
    const seen = await ask("overview", { q, ...within(span), ...widths }, signal);
    return {
      ...seen,
      traffic: trafficOf(seen.traffic, span, window.every),
      latency: { step, found: latencies(seen.latency, span, step) },
    };
  });
}

/**
 * Requests by worker and class of status.
 * @param {import("./api.js").Bucket[]} buckets
 * @param {import("./api.js").Span} span
 * @param {number} every
 * @returns {Traffic}
 */
function trafficOf(buckets, span, every) {
  const found = /** @type {Traffic} */ (new Map());
  for (const [node, its] of Map.groupBy(buckets, (bucket) => bucket.key))
    found.set(
      node,
      series(
        its.map((bucket) => ({ ...bucket, key: classOf(bucket.and_key) })),
        span,
        every,
      ),
    );
  return found;
}

/** A request without a status was interrupted before there was one. @param {string} status */
const classOf = (status) => (/^[345]/.test(status) ? status[0] : status ? "2" : "5");

/** @param {Event} event @returns {charts.Mark} */
export function markOf(event) {
  const action = event["event.action"];
  const kind = action === "worker-lost" ? "death" : action === "worker-started" ? "start" : "end";
  return {
    at: msOf(event["@timestamp"]),
    kind,
    words: `${words.workerName(event)} ${
      { death: "crashed", start: "started", end: "stopped" }[kind]
    }: ${words.short(event.message, 160)}`,
  };
}

/**
 * The stacked bars of one worker's lane.
 * @param {string} node
 * @param {Traffic | null} traffic
 * @param {Window} window
 */
export function stacks(node, traffic, window) {
  const none = new Array(charts.columns(window, window.every, 1).bars).fill(0),
    its = traffic?.get(node);
  return CLASSES.map(({ key }) => ({ key, values: its?.get(key) ?? none }));
}

// Starts and crashes of single workers are drawn from their own events.
const DRAWN = ["deploy", "settings", "workers", "annotation"];

/** Changes of services in a window: versions, settings, numbers of workers, annotations. @param {Window} window
 * @returns {LaneMark[]} */
function useChanges(window) {
  const { data } = useAnswer(`marks ${window.since} ${window.until}`, async (signal) => {
    await idle();
    return (await ask("marks", within(window), signal)).marks;
  });
  return (data ?? [])
    .filter((/** @type {any} */ one) => DRAWN.includes(one.kind))
    .flatMap((/** @type {any} */ one) =>
      (one.kind === "annotation" ? [""] : one.workers).map((/** @type {string} */ worker) => ({
        at: one.time_ns / 1e6,
        kind: one.kind === "annotation" ? "note" : "change",
        words: `${one.kind === "annotation" ? "note: " : ""}${words.short(one.sentence, 160)}`,
        worker,
        service: worker ? "" : one.service,
      })),
    );
}

/**
 * @typedef {charts.Mark & {worker: string, service?: string}} LaneMark `worker`: its node, or "" for a mark on all
 *   lanes, of `service` if it is given
 */
/**
 * @param {{workers: any[], window: Window, overview: any, alone?: boolean, more?: LaneMark[]}} given `overview`: of
 * `useOverview`, or null
 */
export function Lanes({ workers, window, overview, alone = false, more = [] }) {
  const changes = [...useChanges(window), ...more];
  const [said, setSaid] = useState("");
  const [asTable, setAsTable] = useState(false);
  const zone = zoneOf(usePlace().params);
  const latency = /** @type {{step: number, found: Latency}} */ (overview?.latency ?? { step: 1, found: new Map() });
  const all = workers.map((one) => stacks(one.node, overview?.traffic ?? null, window));
  const most = charts.ceiling(Math.max(1, ...all.map((one) => charts.tallest(one))));
  let slowest = 1;
  for (const one of latency.found.values())
    for (const ns of one.p99) slowest = Math.max(slowest, charts.magnitude(ns) ?? 0);
  const busiest = Math.max(
    4,
    ...(overview?.heartbeats ?? []).map((/** @type {Event} */ beat) => beat["logship.requests.in_flight"] ?? 0),
  );
  const size = alone
    ? { bars: 88, lines: 56, flight: 32, gap: 6 }
    : workers.length > 8
      ? { bars: 30, lines: 18, flight: 0, gap: 3 }
      : { bars: 44, lines: 28, flight: 16, gap: 5 };
  return html`<figure class=${`chart lanes ${alone ? "alone" : ""}`}>
      <figcaption><h2>${alone ? "Activity" : "Workers"}</h2>
        <${Legend} items=${CLASSES} line=${[
          { name: "p99", words: "p99" },
          { name: "p50", words: "p50" },
          { name: "flight", words: "in flight" },
        ]} />
        <span class="legend">
          <span class="item">
            <svg width="26" height="10" aria-hidden="true">
              ${[1, 2, 3].map((n) => html`<rect class=${`heat-${n}`} x=${(n - 1) * 9} width="8" height="10" />`)}
            </svg>loop lag
          </span></span>
        <span class="said">${said}</span>
        <button class="quiet" type="button" aria-pressed=${asTable} onClick=${() => setAsTable(!asTable)}>
          ${asTable ? "Show as chart" : "Show as table"}</button></figcaption>
      ${
        asTable
          ? html`<${Table} workers=${workers} stacked=${all} window=${window} zone=${zone} />`
          : html`
            <div class="lane-list">${workers.map(
              (one, at) => html`<${Lane} key=${one.node} worker=${one} window=${window} stacked=${all[at]} most=${most}
                  slowest=${slowest} busiest=${busiest}
                  changes=${changes.filter((mark) =>
                    mark.worker ? mark.worker === one.node : !mark.service || mark.service === one.service,
                  )}
                  latency=${latency} overview=${overview} size=${size} setSaid=${setSaid} alone=${alone} />`,
            )}
              <div class="lane foot">
                <div class="lane-name">
                  ${
                    alone
                      ? ""
                      : html`<span class="soft scale">bars up to ${words.count(most)}
                          ${slowest > 1 ? html`<br />p99 up to ${words.took(charts.duration(slowest))}` : ""}</span>`
                  }</div>
                <${Axis} span=${window} every=${window.every} />${!alone && html`<div class="lane-numbers"></div>`}
              </div>
            </div>`
      }
    </figure>`;
}

/** @param {any} given */
function Lane({ worker, window, stacked, most, slowest, busiest, changes, latency, overview, size, setSaid, alone }) {
  const zone = zoneOf(usePlace().params);
  const beats = /** @type {Event[]} */ (
    (overview?.heartbeats ?? []).filter((/** @type {Event} */ one) => one[NODE] === worker.node)
  );
  const events = /** @type {Event[]} */ (
    (overview?.marks ?? []).filter((/** @type {Event} */ one) => one[NODE] === worker.node)
  );
  const lines = /** @type {{p50: (number | null)[], p99: (number | null)[]} | undefined} */ (
    latency.found.get(worker.node)
  );
  const firstSlice = Math.floor(window.since / latency.step) * latency.step;
  const name = typeof worker.slot === "number" ? `w${worker.slot}` : worker.node;
  const lag = new Array(charts.columns(window, window.every, 1).bars).fill(null);
  const origin = Math.floor(window.since / window.every) * window.every;
  const flight = /** @type {[number, number][]} */ (
    beats.map((beat) => [msOf(beat["@timestamp"]), beat["logship.requests.in_flight"] ?? 0])
  );
  for (const [number, beat] of beats.entries()) {
    const end = msOf(beat["@timestamp"]),
      before = number ? msOf(beats[number - 1]["@timestamp"]) : 0;
    // A heartbeat covers the time since the previous one, ten seconds at most.
    for (
      let at = Math.floor((Math.max(before + 1, end - 9999) - origin) / window.every);
      at <= Math.floor((end - origin) / window.every);
      at += 1
    ) {
      if (at >= 0 && at < lag.length) lag[at] = Math.max(lag[at] ?? 0, beat["logship.loop_lag.max_ns"] ?? 0);
    }
  }
  const marks = [...events.map(markOf), ...changes];
  const top = { lines: size.bars + size.gap, flight: size.bars + size.lines + 2 * size.gap };
  const lagTop = size.flight ? top.flight + size.flight + size.gap : top.flight;
  const whole = lagTop + 6;
  const speak = (/** @type {number} */ bar) => {
    const from = origin + bar * window.every,
      to = from + window.every;
    const said = [
      `${name}: ${words.plural(
        stacked.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + (one.values[bar] ?? 0), 0),
        "request",
      )}`,
    ];
    if (stacked[0].values[bar]) said.push(`${words.count(stacked[0].values[bar])} failed`);
    if (stacked[1].values[bar]) said.push(`${words.count(stacked[1].values[bar])} refused with 4xx`);
    const slice = Math.floor((from + window.every / 2 - firstSlice) / latency.step);
    const p99 = lines?.p99[slice];
    if (p99 !== null && p99 !== undefined) said.push(`p50 ${words.took(lines?.p50[slice])}, p99 ${words.took(p99)}`);
    const beat = flight.filter(([at]) => at < to).pop();
    if (beat && to - beat[0] < 15000 + window.every) said.push(`${beat[1]} in flight`);
    if (lag[bar] !== null && lag[bar] !== undefined) said.push(`loop lag ${words.took(lag[bar])}`);
    for (const one of marks) if (one.at >= from && one.at < to) said.push(one.words);
    return said.join(", ");
  };
  return html`<div class="lane">
      <div class="lane-name">${
        alone
          ? null
          : html`<a class="name" href=${workerAddress(worker.node)}>${words.visible(name)}</a>
            <${State} worker=${worker} />
            <span class="soft ellipsis" title=${words.visible(worker.node)}>
              <bdi>${words.visible(worker.service || worker.node)}</bdi>${worker.pid ? ` · pid ${worker.pid}` : ""}
            </span>`
      }</div>
      <${Plot} label=${`Requests of ${words.visible(name)}`} span=${window} every=${window.every} height=${whole}
        speak=${speak} onPoint=${setSaid}
        onOpen=${(/** @type {any} */ span) =>
          go(href("/search", { q: all(is(NODE, worker.node), REQUESTS), ...exactly(span) }))}
        draw=${(/** @type {number} */ width, /** @type {any} */ columns) => {
          // The oldest slice may begin before the oldest bar, and the newest end after the newest.
          const middle = (/** @type {number} */ at) =>
            Math.max(0, Math.min(width, columns.x(firstSlice + (at + 0.5) * latency.step)));
          return html`
            ${charts.grid({ span: window, width, height: whole, x: columns.x, offset: ahead(window.since, zone) })}
            <path class="floor"
              d=${`M0 ${size.bars + 0.5}H${width}M0 ${top.lines + size.lines + 0.5}H${width}${
                size.flight ? `M0 ${top.flight + size.flight + 0.5}H${width}` : ""
              }`} />
            ${charts.bars({ series: stacked, width, height: size.bars, most })}
            <g transform=${`translate(0 ${top.lines})`}>${
              lines &&
              html`
                ${charts.line({
                  values: lines.p50.map(charts.magnitude),
                  x: middle,
                  height: size.lines,
                  most: slowest,
                  name: "p50",
                })}
                ${charts.line({
                  values: lines.p99.map(charts.magnitude),
                  x: middle,
                  height: size.lines,
                  most: slowest,
                  name: "p99",
                })}`
            }</g>
            ${
              size.flight > 0 &&
              html`<g transform=${`translate(0 ${top.flight})`}>
                  ${charts.steps({
                    points: flight,
                    x: columns.x,
                    until: window.until,
                    height: size.flight,
                    most: busiest,
                    name: "flight",
                    gap: 15000,
                  })}</g>`
            }
            ${charts.heat({ values: lag, width, y: lagTop, height: 5, limits: [2e6, 1e7, 5e7, 2.5e8] })}
            ${charts.marks({ marks, x: columns.x, height: whole })}`;
        }} />
      ${
        !alone &&
        html`<dl class="lane-numbers">
            <div><dt>requests</dt><dd>${worker.requests === null ? "–" : words.count(worker.requests)}</dd></div>
            <div><dt>p50</dt><dd>${words.took(worker.p50_ms === null ? null : worker.p50_ms * 1e6)}</dd></div>
            <div><dt>p99</dt><dd>${words.took(worker.p99_ms === null ? null : worker.p99_ms * 1e6)}</dd></div>
            <div><dt>failed</dt>
              <dd class=${worker.errors ? "bad" : ""}>${worker.errors === null ? "–" : words.count(worker.errors)}</dd>
            </div>
          </dl>`
      }
    </div>`;
}

/** @param {{worker: any}} given */
export function State({ worker }) {
  const kind =
    /** @type {Record<string, string>} */ ({ alive: "good", lost: "bad", silent: "warn" })[worker.state] ?? "soft";
  const run = worker.lives > 1 ? ` · run ${worker.generation ?? worker.lives}` : "";
  return html`<span class=${`state ${kind}`}>${words.workerState(worker.state)}
      ${run && html`<span class="soft">${run}</span>`}</span>`;
}

/** @param {any} given */
function Table({ workers, stacked, window, zone }) {
  const bars = stacked[0]?.[0].values.length ?? 0,
    rows = [];
  const from = Math.floor(window.since / window.every) * window.every;
  for (let bar = 0; bar < bars; bar += 1) {
    const at = from + bar * window.every;
    rows.push([
      range(at, at + window.every, zone),
      ...stacked.map((/** @type {charts.Series[]} */ one) =>
        words.count(one.reduce((sum, part) => sum + (part.values[bar] ?? 0), 0)),
      ),
    ]);
  }
  return html`<${Numbers} caption="Requests of each worker"
      heads=${[
        "Time",
        ...workers.map((/** @type {any} */ one) => (typeof one.slot === "number" ? `w${one.slot}` : one.node)),
      ]} rows=${rows} />`;
}
