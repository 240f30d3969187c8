// One request: where its time went, what was logged during it, how it failed, and other requests of its worker.
import { html } from "./html.js";
import { useRef } from "./vendor/hooks.js";
import * as charts from "./charts.js";
import { ask, idle, useAnswer } from "./api.js";
import {
  Copy,
  Notice,
  Problem,
  requestAddress,
  Status,
  Text,
  useTitle,
  useWidth,
  When,
  workerAddress,
} from "./parts.js";
import { Details, List } from "./list.js";
import { href, usePlace, zoneOf } from "./url.js";
import { all, is, REQUESTS } from "./kql.js";
import { asNs, msOf, nanoseconds, range, rfc, zoneWords } from "./time.js";
import * as words from "./words.js";

/** @typedef {import("./words.js").Event} Event */

const NEIGHBOURS = 10;
const REACH_MS = 60_000;

/** @param {string} id an id in a path; the id ".." would be resolved as a path */
export const inPath = (id) => encodeURIComponent(id).replace(/\./g, "%2E");

/** @param {{id: string}} given */
export function View({ id }) {
  const { params } = usePlace();
  const zone = zoneOf(params);
  const { data, error } = useAnswer(
    `story ${id}`,
    async (signal) => {
      try {
        return await ask(`story/${inPath(id)}`, {}, signal);
      } catch (/** @type {any} */ failure) {
        if (failure.status !== 404) throw failure;
        return { records: [], request: null, unfinished: [], crash: null, last_events: [] };
      }
    },
    false,
  );
  const records = /** @type {Event[]} */ (data?.records ?? []),
    main = /** @type {Event | undefined} */ (
      records.find((record) => record["event.id"] === data.request?.["event.id"])
    ),
    crash = /** @type {Event | null} */ (data?.crash ?? null),
    running = (data?.unfinished ?? []).find((/** @type {any} */ request) => request.state === "running");
  useTitle(main ? `${main.message ?? main["url.path"] ?? id}` : `Request ${id}`);
  if (error) return html`<h1>Request</h1><${Problem} error=${error} />`;
  if (!data) return html`<div class="waiting" role="status">Loading…</div>`;
  const head = main ?? crash ?? records[0];
  if (!head && running) return html`<h1>Request</h1><${Running} request=${running} zone=${zone} />`;
  if (!head)
    return html`<h1>Request</h1>
      <${Notice}><p>No event, request or trace has the id <code>${words.short(id, 100)}</code>.</p>
        <p>It may be older than the store, or was not recorded: health checks are only counted, and sampling leaves
          requests out.</p><p><a href=${href("/search")}>Search</a></p></${Notice}>`;
  const lines = records.filter((one) => one !== main);
  return html`<div class="request"><header class="head">
        <h1>${
          main
            ? html`<span class="method">
                ${words.short(main["http.request.method"] ?? main["event.action"] ?? "", 12)}
              </span> <bdi>${words.short(main["url.path"] ?? main.message ?? "", 200)}</bdi>`
            : "Unfinished request"
        }</h1>
        <p class="facts">
          ${main && html`<${Status} event=${main} /> <strong>${words.took(main["event.duration"])}</strong>`} <a
            class="tag"
            href=${workerAddress(head["service.node.name"] ?? "")}>${words.workerName(head) || "no worker"}</a>
          ${
            main?.["http.route"] &&
            html`<span>route <code><${Text} value=${main["http.route"]} most=${100} /></code>
              </span>`
          }
          <${When} at=${main?.["event.start"] ?? head["@timestamp"]} zone=${zone} /> <span class="soft">
            ${zoneWords(msOf(head["@timestamp"]), zone)}</span>
          ${
            main?.["event.reason"] &&
            main["event.reason"] !== "complete" &&
            html`<span class="bad">
                ${words.short(main["event.reason"].replaceAll("_", " "), 40)}</span>`
          }</p>
        <p class="actions">
          ${
            (main || data.unfinished.length > 0) &&
            html`<${Copy} kind="button" text=${() => commands(id)}>Copy as cURL</${Copy}>`
          }
          <${Copy} kind="button" text=${() => location.origin + requestAddress(id)}>Copy link</${Copy}>
          <a class="button"
            href=${href("/search", { q: is("http.request.id", id), last: "7d", since: null, until: null })}>
            In search</a></p></header>
      ${running && html`<${Running} request=${running} zone=${zone} />`}
      ${
        crash &&
        html`<${Notice} kind="bad">
            <p><strong>This request was interrupted:
              </strong> <a href=${workerAddress(crash["service.node.name"] ?? "")}>${words.workerName(crash)}
              </a> crashed at <${When} at=${crash["@timestamp"]} zone=${zone} /> while handling <code>
                <${Text} value=${described(crash, id)} /></code></p></${Notice}>`
      }
      ${
        data.last_events.length > 0 &&
        html`<section class="over-list">
            <h2>Last events from ${crash ? words.workerName(crash) || "the worker" : "the worker"}</h2>
            <${List} events=${[...data.last_events].reverse()} label="The last events of the worker" /></section>`
      }
      ${
        main
          ? html`<${Waterfall} main=${main} lines=${lines} zone=${zone} />`
          : lines.length > 0 &&
            html`<${Lines}
                lines=${lines} origin=${null} zone=${zone} />`
      }
      ${
        main?.["error.stack_trace"] &&
        html`<section class="card"><h2>Exception</h2>
            <p><strong class="bad"><${Text} value=${main["error.type"] ?? "error"} most=${160} />
              </strong> <${Text} value=${main["error.message"] ?? ""} most=${600} /></p>
            <details class="trace"><summary>Stack trace</summary>
              <pre tabindex="0"><bdi>${words.visible(main["error.stack_trace"], true)}</bdi></pre></details>
            ${
              main["error.id"] &&
              html`<p>
                  <a href=${href("/search", { q: is("error.id", main["error.id"]) })}>All occurrences of this error</a>
                </p>`
            }
          </section>`
      }
      ${
        main &&
        html`<${Reproduce} id=${id} />
          <${Neighbours} main=${main} zone=${zone} />
          <section class="card"><h2>All fields</h2><${Details} event=${main} /></section>`
      }</div>`;
}

/** What `logship curl` prints for an id. @param {string} id @returns {Promise<string>} */
const commands = async (id) => texts((await ask(`curl/${inPath(id)}`)).requests);

/** @param {{curl: string}[]} requests */
const texts = (requests) => requests.map((one) => one.curl).join("\n");

/** The request as a command, and what was not recorded of it. @param {{id: string}} given */
function Reproduce({ id }) {
  const { data, error } = useAnswer(`curl ${id}`, async (signal) => {
    await idle();
    return (await ask(`curl/${inPath(id)}`, {}, signal)).requests;
  });
  const missing = [...new Set((data ?? []).flatMap((/** @type {any} */ one) => one.not_recorded))];
  return html`<section class="card"><h2>Reproduce with curl</h2>
      ${
        error
          ? html`<p class="soft">${words.visible(error.message)}</p>`
          : html`<pre tabindex="0" class="curl"><bdi>${data ? words.visible(texts(data), true) : "…"}</bdi></pre>
            ${
              missing.length > 0 &&
              html`<p class="soft">Not recorded, and so not in the command: ${words.visible(missing.join("; "))}</p>`
            }`
      }</section>`;
}

/** @param {{request: any, zone: import("./time.js").Zone}} given */
const Running = ({ request, zone }) =>
  html`<${Notice}>
      <p><strong>This request is still running:</strong> <code><${Text} value=${request.what} />
        </code>, started <${When} at=${rfc(request.began_ns / 1e6)} zone=${zone} /> on <a
          href=${workerAddress(request.node)}><${Text} value=${request.node} /></a>, ${words.took(request.age_ns)} ago.
      </p>
    </${Notice}>`;

/** @param {Event} crash @param {string} id */
function described(crash, id) {
  const at = /** @type {string[]} */ (crash["logship.in_flight.ids"] ?? []).indexOf(id);
  return crash["logship.in_flight.requests"]?.[at] ?? id;
}

/** @param {Event} main nanoseconds from its beginning */
function partsOf(main) {
  const whole = main["event.duration"] ?? 0,
    first = Math.min(main["logship.ttfb_ns"] ?? whole, whole),
    after = main["logship.background_ns"] ?? 0;
  return [
    { name: "wait", from: 0, to: first, words: "until the first byte" },
    { name: "send", from: first, to: whole, words: "sending" },
    ...(after > 0
      ? [{ name: "after", from: whole, to: whole + after, words: "background work after the response" }]
      : []),
  ].filter((one) => one.to > one.from);
}

/** @param {{main: Event, lines: Event[], zone: import("./time.js").Zone}} given */
function Waterfall({ main, lines, zone }) {
  const box = useRef(/** @type {any} */ (null));
  const width = useWidth(box);
  const origin = main["event.start"] ?? main["@timestamp"];
  const parts = partsOf(main);
  const offsets = lines.map((one) => Number(nanoseconds(one["@timestamp"]) - nanoseconds(origin)));
  const whole = Math.max(1, ...parts.map((one) => one.to), ...offsets);
  const share = (/** @type {any} */ one) => `${one.words} ${words.took(one.to - one.from)}`;
  return html`<section class="card"><h2>Where its time went</h2>
      <p class="legend">
        ${parts.map(
          (one) => html`<span class="item">
              <svg width="12" height="12" aria-hidden="true">
                <rect class=${`part-${one.name}`} width="12" height="12" rx="2" />
                <rect fill=${`url(#hatch-${one.name})`} width="12" height="12" /></svg>${share(one)}</span>`,
        )}</p>
      <div class="water" ref=${box}>
        <svg width=${width} height="26" role="img"
          aria-label=${`The request took ${words.took(main["event.duration"])}: ${parts.map(share).join(", ")}`}>
          ${width > 0 && charts.waterfall({ parts, whole, width, height: 26 })}
          ${
            width > 0 &&
            offsets.map(
              (ns) => html`<path class="moment"
                  d=${`M${Math.min(width - 1, Math.max(1, (ns / whole) * width)).toFixed(1)} 0v26`} />`,
            )
          }</svg>
        <div class="ends soft"><span>0</span><span>${words.took(whole / 2)}</span><span>${words.took(whole)}</span>
        </div>
      </div>
      <${Lines} lines=${lines} origin=${origin} zone=${zone} whole=${whole} /></section>`;
}

/** @param {{lines: Event[], origin: string | null, zone: import("./time.js").Zone, whole?: number}} given */
function Lines({ lines, origin, zone, whole = 1 }) {
  if (!lines.length) return html`<p class="soft">No log events of this request are stored.</p>`;
  return html`<ol class="lines" aria-label="What was logged">${lines.map((one) => {
    const ns = origin ? Number(nanoseconds(one["@timestamp"]) - nanoseconds(origin)) : null;
    const extra = { ...one.labels, ...one.numeric_labels };
    return html`<li class=${words.gravity(one)}>
        <span class="n offset">${ns === null ? html`<${When} at=${one["@timestamp"]} zone=${zone} />` : words.since(ns)}
        </span>
        <svg class="place" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
          ${
            ns !== null &&
            html`<path d=${`M0 4H${Math.min(100, Math.max(0, (100 * ns) / whole))}`} />
              <rect x=${Math.min(98.5, Math.max(0, (100 * ns) / whole))} width="1.5" height="8" />`
          }</svg>
        <span class="what">
          <${Status} event=${one} /> <a href=${href(`/e/${one["event.id"]}`)}>
            <${Text} value=${one.message ?? ""} most=${500} />
          </a> ${Object.entries(extra).map(
            ([key, value]) => html`<span class="pair soft"><bdi>${words.short(key, 40)}
                </bdi>=<${Text} value=${value} most=${60} /></span> `,
          )}
          ${
            one["error.stack_trace"] &&
            html`<details class="trace">
                <summary>Stack trace: <${Text} value=${one["error.type"] ?? ""} most=${80} /></summary>
                <pre tabindex="0"><bdi>${words.visible(one["error.stack_trace"], true)}</bdi></pre></details>`
          }</span></li>`;
  })}</ol>`;
}

/**
 * Requests of the worker before, during and after, on one axis.
 * @param {{main: Event, zone: import("./time.js").Zone}} given
 */
function Neighbours({ main, zone }) {
  const node = main["service.node.name"];
  const end = msOf(main["@timestamp"]),
    start = main["event.start"] ? msOf(main["event.start"]) : end - (main["event.duration"] ?? 0) / 1e6;
  const q = all(REQUESTS, is("service.node.name", node ?? ""));
  const result = useAnswer(node ? `neighbours ${main["event.id"]}` : null, async (signal) => {
    const near = (/** @type {any} */ asked) => ask("search", { q, limit: NEIGHBOURS, ...asked }, signal);
    const [before, after] = await Promise.all([
      near({ since_ns: asNs(start - REACH_MS), until_ns: asNs(Math.ceil(end)) }),
      near({ since_ns: asNs(Math.ceil(end)), until_ns: asNs(end + REACH_MS), order: "oldest" }),
    ]);
    const known = new Map(
      [...before.records, ...after.records, main].map((/** @type {Event} */ one) => [one["event.id"], one]),
    );
    return /** @type {Event[]} */ ([...known.values()]).sort((a, b) => begin(a) - begin(b));
  });
  if (!node) return null;
  const records = result.data ?? [main];
  const since = Math.min(start, ...records.map(begin)),
    until = Math.max(end, ...records.map((one) => msOf(one["@timestamp"])));
  const x = (/** @type {number} */ ms) =>
    Math.max(0, Math.min(100, (100 * (ms - since)) / Math.max(until - since, 0.001)));
  return html`<section class="card"><h2>Other requests on ${words.workerName(main)}</h2>
      <p class="soft">
        ${range(since, until, zone)} ${zoneWords(since, zone)}: requests of the same worker at about the same time.</p>
      <ol class="neighbours">${records.map(
        (/** @type {Event} */ one) => html`<li class=${one["event.id"] === main["event.id"] ? "this" : ""}>
            <a href=${requestAddress(one["http.request.id"] ?? "")}
              aria-current=${one["event.id"] === main["event.id"] ? "true" : undefined}>
              <span class="what">
                <${Status} event=${one} /> <${Text}
                  value=${`${one["http.request.method"] ?? ""} ${one["url.path"] ?? one.message ?? ""}`} most=${70} />
              </span>
              <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                <rect class=${one["event.id"] === main["event.id"] ? "part-send" : `fill-${words.statusClass(one)}`}
                  x=${x(begin(one))} width=${Math.max(0.4, x(msOf(one["@timestamp"])) - x(begin(one)))} height="10" />
              </svg>
              <span class="n">${words.took(one["event.duration"])}</span></a></li>`,
      )}</ol>
      <p><a href=${href("/search", {
        q: is("service.node.name", node),
        since: new Date(since).toISOString(),
        until: new Date(until).toISOString(),
        last: null,
      })}>All events of this worker at that time</a></p></section>`;
}

/** @param {Event} one */
const begin = (one) =>
  one["event.start"] ? msOf(one["event.start"]) : msOf(one["@timestamp"]) - (one["event.duration"] ?? 0) / 1e6;
