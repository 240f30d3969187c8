// Panels: every view of the catalogue, drawn by its shape.
import { html } from "./html.js";
import { useState } from "./vendor/hooks.js";
import { ask, series, tally, useAnswer, useAsk, within } from "./api.js";
import * as charts from "./charts.js";
import { Chart, Legend, Nothing, Numbers, Problem, Text, useTitle, ahead } from "./parts.js";
import { List } from "./list.js";
import { exactly, go, href, patch, usePlace, useWindow, zoneOf } from "./url.js";
import { all, is } from "./kql.js";
import { range } from "./time.js";
import * as words from "./words.js";

/** @typedef {{name: string, title: string, sentence: string, shape: "rows" | "counts" | "values" | "numbers", where:
 * string, unit: string, split: string | null, and_split: string | null,
 * number: string, metrics: string[], columns: string[], greatest: string, over_time: boolean, needs_id: boolean}} Panel
 * */

const SERIES_MOST = 12;
const TRACK_PX = 64;
/** Columns that the list always shows. */
const SHOWN = ["@timestamp", "service.node.name", "http.response.status_code", "event.duration", "message"];

/** @param {{id: string}} given */
export function View({ id }) {
  const { params } = usePlace();
  const result = useAsk("views");
  const panels = /** @type {Panel[]} */ (result.data?.views ?? []);
  const chosen = panels.find((one) => one.name === id);
  useTitle(chosen?.title ?? "Panels");
  if (result.error) return html`<h1>Panels</h1><${Problem} error=${result.error} />`;
  if (!result.data) return html`<h1>Panels</h1><div class="waiting" role="status">Loading…</div>`;
  if (id && !chosen)
    return html`<h1>Panels</h1><p>No such panel: ${words.short(id, 60)}. <a href=${href("/panels")}>All panels</a>
      </p>`;
  if (!chosen)
    return html`<h1>Panels</h1>
      <ul class="catalogue">
        ${panels.map(
          (one) => html`<li>
              <a class="card" href=${href(`/panels/${one.name}`)}><strong>${one.title}</strong>
                <span class="soft">${one.sentence}</span></a></li>`,
        )}</ul>`;
  const q = chosen.needs_id
    ? params.id
      ? chosen.where.replaceAll("{0}", params.id.replace(/[\\"]/g, "\\$&"))
      : ""
    : chosen.where;
  const Shape = {
    rows: Events,
    counts: chosen.over_time ? Bars : Counts,
    values: Shares,
    numbers: chosen.over_time ? Lines : Stats,
  }[chosen.shape];
  return html`<p class="crumbs"><a href=${href("/panels")}>Panels</a></p><h1>${chosen.title}</h1>
    <p class="soft">${chosen.sentence} ${q && html`<a href=${href("/search", { q })}>Show these events</a>`}</p>
    ${
      chosen.needs_id &&
      html`<form class="question" onSubmit=${(/** @type {any} */ event) => {
        event.preventDefault();
        patch({ id: new FormData(event.target).get("id")?.toString() ?? null });
      }}><div class="box">
            <input type="text" name="id" aria-label="Request id or trace id" placeholder="Request id or trace id"
              value=${params.id ?? ""} /></div><button class="primary" type="submit">Show</button></form>`
    }
    ${q && html`<${Shape} key=${chosen.name} panel=${chosen} q=${q} />`}`;
}

/** @param {Panel} panel @param {number} n */
const said = (panel, n) => (panel.unit === "nanoseconds" ? words.took(n) : words.number(Math.round(n * 10) / 10));

/** @param {string} key */
const name = (key) => words.short(key || "none", 60);

/** Counts over time, one chart per value. @param {{panel: Panel, q: string}} given */
function Bars({ panel, q }) {
  const window = useWindow(),
    zone = zoneOf(usePlace().params);
  const result = useAnswer(`panel ${q} ${window.since} ${window.until}`, async (signal) =>
    series(await tally(q, window, window.every, panel.split, signal), window, window.every),
  );
  if (result.error) return html`<${Problem} error=${result.error} />`;
  if (!result.data) return html`<div class="waiting" role="status">Loading…</div>`;
  const sum = (/** @type {number[]} */ values) => values.reduce((a, b) => a + b, 0);
  const found = [...result.data].sort(([, a], [, b]) => sum(b) - sum(a)).slice(0, SERIES_MOST);
  if (!found.length) return html`<${Nothing} what="No events" window=${window} />`;
  const most = charts.ceiling(Math.max(...found.flatMap(([, values]) => values)));
  const colour = (/** @type {string} */ key) => (panel.split?.includes("status") && /^[345]/.test(key) ? key[0] : "2");
  return html`<div class="many">${found.map(
    ([key, values]) => html`<${Chart} key=${key} title=${`${name(key)}: ${words.count(sum(values))} ${panel.unit}`}
        label=${name(key)} span=${window} every=${window.every} height=${TRACK_PX}
        speak=${(/** @type {number} */ bar) => `${words.count(values[bar])} ${panel.unit}`}
        onOpen=${(/** @type {any} */ span) =>
          go(href("/search", { q: key ? all(q, is(panel.split ?? "", key)) : q, ...exactly(span) }))}
        draw=${(/** @type {number} */ width, /** @type {any} */ columns) =>
          html`${charts.grid({
            span: window,
            width,
            height: TRACK_PX,
            x: columns.x,
            offset: ahead(window.since, zone),
          })}${charts.bars({ series: [{ key: colour(key), values }], width, height: TRACK_PX, most })}`}
        table=${() => ({
          heads: ["Time", panel.unit],
          rows: rows(window, zone, values.length, (at) => [words.count(values[at])]),
        })} />`,
  )}</div>`;
}

/**
 * A number over time, one chart per value of the split, one line per metric.
 * @param {{panel: Panel, q: string}} given
 */
function Lines({ panel, q }) {
  const window = useWindow(),
    zone = zoneOf(usePlace().params);
  const result = useAnswer(
    `panel ${q} ${window.since} ${window.until}`,
    async (signal) =>
      (
        await ask(
          "stats",
          {
            q,
            field: panel.number,
            by: panel.and_split ?? panel.split,
            every_ns: window.every * 1e6,
            ...within(window),
          },
          signal,
        )
      ).stats,
  );
  if (result.error) return html`<${Problem} error=${result.error} />`;
  if (!result.data) return html`<div class="waiting" role="status">Loading…</div>`;
  if (!result.data.length) return html`<${Nothing} what="No values" window=${window} />`;
  const first = Math.floor(window.since / window.every),
    bars = charts.columns(window, window.every, 1).bars;
  const names = panel.metrics.map((metric) => ({ p50: "p50", p95: "flight" })[metric] ?? "p99");
  const greatest = Math.max(
    ...result.data.flatMap((/** @type {any} */ one) => panel.metrics.map((metric) => one[metric])),
  );
  const place = panel.unit === "nanoseconds" ? charts.magnitude : (/** @type {number | null} */ n) => n,
    most = place(charts.ceiling(greatest)) || 1;
  return html`<div class="many">${[...Map.groupBy(result.data, (/** @type {any} */ one) => one.key)]
    .slice(0, SERIES_MOST)
    .map(([key, many]) => {
      const lines = panel.metrics.map((metric) => {
        const values = new Array(bars).fill(null);
        for (const one of many) values[Math.round(one.start_ns / 1e6 / window.every) - first] = one[metric];
        return values;
      });
      const tell = (/** @type {number} */ at) =>
        panel.metrics
          .map((metric, n) => `${metric} ${lines[n][at] === null ? "–" : said(panel, lines[n][at])}`)
          .join(", ");
      return html`<${Chart} key=${key} title=${name(key)} label=${name(key)} span=${window} every=${window.every}
          height=${TRACK_PX} speak=${tell}
          legend=${html`<${Legend} items=${[]}
              line=${panel.metrics.map((metric, n) => ({ name: names[n], words: metric }))} />
            <span class="soft">up to ${said(panel, greatest)}</span>`}
          onOpen=${(/** @type {any} */ span) =>
            go(
              href("/search", { q: key ? all(q, is(panel.and_split ?? panel.split ?? "", key)) : q, ...exactly(span) }),
            )}
          draw=${(/** @type {number} */ width, /** @type {any} */ columns) =>
            html`${charts.grid({
              span: window,
              width,
              height: TRACK_PX,
              x: columns.x,
              offset: ahead(window.since, zone),
            })}${lines.map((values, n) =>
              charts.line({
                values: values.map(place),
                x: (at) => columns.left(at) + columns.width / 2,
                height: TRACK_PX,
                most,
                name: names[n],
              }),
            )}`}
          table=${() => ({
            heads: ["Time", ...panel.metrics],
            rows: rows(window, zone, bars, (at) =>
              lines.map((values) => (values[at] === null ? "–" : said(panel, values[at]))),
            ),
          })} />`;
    })}</div>`;
}

/**
 * @param {{since: number, every: number}} window
 * @param {import("./time.js").Zone} zone
 * @param {number} bars
 * @param {(at: number) => string[]} cells
 */
function rows(window, zone, bars, cells) {
  const first = Math.floor(window.since / window.every) * window.every;
  return Array.from({ length: bars }, (_, at) => [
    range(first + at * window.every, first + (at + 1) * window.every, zone),
    ...cells(at),
  ]);
}

/** One bar per row, with its number. @param {{rows: {key: any, q: string, part: number, says: string}[]}} given */
const Parts = ({ rows: all }) =>
  html`${all.map(
    (one) => html`<div class="share long"><a href=${href("/search", { q: one.q })}>${one.key}</a>
        <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
          <rect class="track" width="100" height="10" /><rect class="fill-2" width=${100 * one.part} height="10" />
        </svg>
        <span class="n">${one.says}</span></div>`,
  )}`;

/** Counts by one or two fields. @param {{panel: Panel, q: string}} given */
function Counts({ panel, q }) {
  const window = useWindow();
  const result = useAsk("tally", { q, by: panel.split, and_by: panel.and_split, ...within(window) });
  if (result.error) return html`<${Problem} error=${result.error} />`;
  if (!result.data) return html`<div class="waiting" role="status">Loading…</div>`;
  const found = /** @type {any[]} */ (result.data.buckets).sort((a, b) => b.events - a.events).slice(0, 40);
  if (!found.length) return html`<${Nothing} what="No events" window=${window} />`;
  const condition = (/** @type {any} */ one) =>
    all(q, one.key && is(panel.split ?? "", one.key), one.and_key && is(panel.and_split ?? "", one.and_key));
  return html`<section class="card">
      <${Parts}
        rows=${found.map((one) => ({
          key: html`<${Text} value=${one.key || "none"} most=${40} />
            ${
              panel.and_split &&
              html` · <${Text} value=${one.and_key || "none"}
                  most=${60} />`
            }`,
          q: condition(one),
          part: one.events / found[0].events,
          says: words.count(one.events),
        }))} />
    </section>`;
}

/** Values with their shares. @param {{panel: Panel, q: string}} given */
function Shares({ panel, q }) {
  const window = useWindow();
  const result = useAsk("top", { q, field: panel.split, limit: 40, ...within(window) });
  if (result.error) return html`<${Problem} error=${result.error} />`;
  if (!result.data) return html`<div class="waiting" role="status">Loading…</div>`;
  if (!result.data.values.length) return html`<${Nothing} what="No events" window=${window} />`;
  return html`<section class="card">
      <${Parts}
        rows=${result.data.values.map((/** @type {any} */ one) => ({
          key: html`<${Text} value=${one.value}
              most=${60} />`,
          q: all(q, is(panel.split ?? "", one.value)),
          part: one.share,
          says: `${words.share(one.share, 1)}`,
        }))} /></section>`;
}

/** Statistics of a number per value. @param {{panel: Panel, q: string}} given */
function Stats({ panel, q }) {
  const window = useWindow(),
    by = panel.and_split ?? panel.split;
  const result = useAsk("stats", { q, field: panel.number, by, ...within(window) });
  if (result.error) return html`<${Problem} error=${result.error} />`;
  if (!result.data) return html`<div class="waiting" role="status">Loading…</div>`;
  const first = panel.metrics.includes("p99") ? "p99" : panel.metrics[panel.metrics.length - 1];
  const stats = /** @type {any[]} */ (result.data.stats).filter((one) => one.key).sort((a, b) => b[first] - a[first]);
  if (!stats.length) return html`<${Nothing} what="No values" window=${window} />`;
  const worst = Math.max(1, ...stats.map((one) => one[first]));
  const cell = (/** @type {any} */ one, /** @type {string} */ metric) =>
    metric === "count" ? words.count(one.count) : said(panel, one[metric]);
  return html`<section class="card">
      <${Parts}
        rows=${stats.slice(0, 20).map((one) => ({
          key: html`<${Text} value=${one.key}
              most=${40} />`,
          q: all(q, is(by ?? "", one.key)),
          part: one[first] / worst,
          says: cell(one, first),
        }))} />
      <${Numbers} caption=${panel.title} heads=${["Group", ...panel.metrics]}
        rows=${stats.map((one) => [
          html`<${Text} value=${one.key}
              most=${60} />`,
          ...panel.metrics.map((metric) => cell(one, metric)),
        ])} /></section>`;
}

/** @param {{panel: Panel, q: string}} given */
function Events({ panel, q }) {
  const window = useWindow();
  const [chosen] = useState(() => panel.columns.filter((one) => !SHOWN.includes(one)));
  const result = useAsk("search", {
    q,
    limit: 200,
    greatest: panel.greatest,
    order: panel.needs_id ? "oldest" : null,
    ...(panel.needs_id ? {} : within(window)),
  });
  if (result.error) return html`<${Problem} error=${result.error} />`;
  if (!result.data) return html`<div class="waiting" role="status">Loading…</div>`;
  return result.data.records.length
    ? html`<${List} events=${result.data.records} label=${panel.title} chosen=${chosen}
        delta=${!panel.greatest && !panel.needs_id} />`
    : html`<${Nothing} what="No such events" window=${window} />`;
}
