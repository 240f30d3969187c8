// The overview: what stands out, a lane for each worker, shares, slow routes and the newest failures.
import { html } from "./html.js";
import { Capacity } from "./capacity.js";
import { Findings, marksOf, useIncident } from "./findings.js";
import { Lanes, useOverview } from "./lanes.js";
import { Begin, Nothing, Numbers, Problem, requestAddress, Text, useTitle, When, workerAddress } from "./parts.js";
import { exactly, href, usePlace, useWindow, zoneOf } from "./url.js";
import { all, FAILURES, is, REQUESTS } from "./kql.js";
import * as words from "./words.js";

export function View() {
  useTitle("Overview");
  const window = useWindow();
  const zone = zoneOf(usePlace().params);
  const { data, error, loading } = useOverview(window);
  const workers = /** @type {any[] | null} */ (data?.workers ?? null);
  const requests = workers && workers.reduce((sum, worker) => sum + (worker.requests ?? 0), 0);
  const incident = useIncident(window, requests);
  if (error && !data) return html`<h1 class="away">Overview</h1><${Problem} error=${error} />`;
  if (workers && !workers.length)
    return html`<h1 class="away">Overview</h1><${Nothing} what="No worker sent events" window=${window}><${Begin} />
      </${Nothing}>`;
  const several = new Set((workers ?? []).map((worker) => worker.service)).size > 1;
  return html`<h1 class="away">Overview</h1>${error && html`<${Problem} error=${error} />`}
    <${Totals} data=${data} window=${window} />
    <${Findings} standout=${data?.standout ?? null} error=${error} window=${window} zone=${zone}
      incident=${incident} requests=${requests ?? 0} />
    ${
      workers
        ? html`<${Lanes} workers=${workers} window=${window} overview=${data}
            more=${marksOf(incident.data?.findings ?? [])} />`
        : html`<div class="lanes-wait" role="status"><span class="away">Loading</span></div>`
    }
    <div class="columns">
      <section class="card"><h2>Share per worker</h2><${Shares} data=${data} several=${several} /></section>
      <section class="card"><h2>Slowest routes</h2>
        <${Routes} stats=${(data?.routes ?? []).filter((/** @type {any} */ stat) => stat.key)} window=${window}
          loading=${loading && !data} /></section>
      <section class="card wide"><h2>Newest failures</h2>
        <${Failures} data=${data} several=${several} window=${window} zone=${zone} /></section>
      <section class="card wide"><${Capacity} /></section>
    </div>`;
}

/** @param {{data: any, window: import("./url.js").Window}} given */
function Totals({ data, window }) {
  const workers = /** @type {any[]} */ (data?.workers ?? []);
  const sum = (/** @type {string} */ field) => workers.reduce((total, worker) => total + (worker[field] ?? 0), 0);
  const requests = sum("requests"),
    errors = sum("errors"),
    alive = workers.filter((worker) => worker.state === "alive").length,
    rate = requests / Math.max((data?.covered_ns ?? 0) / 1e9, 1),
    slowest = Math.max(0, ...workers.map((worker) => (worker.p99_ms ?? 0) * 1e6));
  return html`<section class="totals" aria-label="Totals">
      <${Total} name="requests" value=${data && words.count(requests)}
        more=${data && `${words.number(Number(rate.toFixed(1)))} per second`}
        to=${href("/search", { q: REQUESTS, ...exactly(window) })} />
      <${Total} name="failed" value=${data && words.count(errors)} more=${data && words.share(errors, requests)}
        kind=${errors ? "bad" : ""} to=${href("/search", { q: FAILURES, ...exactly(window) })} />
      <${Total} name="median latency" value=${data && words.took(middle(workers, "p50_ms"))}
        more=${data && `slowest worker: p99 ${words.took(slowest)}`} />
      <${Total} name="workers" value=${data && `${alive} of ${workers.length}`} more="alive" />
      <${Total} name="in flight" value=${data && words.count(sum("in_flight"))} more="as of the last heartbeat" />
    </section>`;
}

/** @param {{data: any, several: boolean}} given */
function Shares({ data, several }) {
  if (!data) return null;
  const services = Map.groupBy(/** @type {any[]} */ (data.workers), (worker) => worker.service);
  return [...services].map(([service, workers]) => {
    const balance = data.standout.balances.find((/** @type {any} */ one) => one.service === service);
    return html`<p class="verdict">
        ${several && html`<strong><${Text} value=${service || "no service"} most=${40} />:</strong> `}
        <${Text} value=${balance?.sentence ?? ""} /></p>
      ${workers.map(
        (worker) => html`<div class="share"><a href=${workerAddress(worker.node)}>${name(worker)}</a>
            <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
              <rect class="track" width="100" height="10" />
              <rect class="fill-2" width=${worker.share * 100} height="10" />
              <path class="even" d=${`M${100 / workers.length} 0V10`} /></svg>
            <span class="n">${words.share(worker.share, 1)}</span></div>`,
      )}`;
  });
}

/** @param {{data: any, several: boolean, window: import("./url.js").Window, zone: import("./time.js").Zone}} given */
function Failures({ data, several, window, zone }) {
  if (!data) return html`<p class="soft">…</p>`;
  if (!data.failures.length) return html`<p class="soft">No request failed in this window.</p>`;
  return html`<ul class="failures">${data.failures.map(
    (/** @type {words.Event} */ event) => html`<li><${When} at=${event["@timestamp"]} zone=${zone} />
        <span class="tag">${words.workerName(event, several)}</span>
        <a href=${
          event["http.request.id"] ? requestAddress(event["http.request.id"]) : href(`/e/${event["event.id"]}`)
        }>
          <${Text} value=${event.message} most=${120} /></a>
        <span class="soft">
          ${
            event["error.type"] &&
            html`<${Text}
                value=${`${event["error.type"].split(".").pop()}: ${event["error.message"] ?? ""}`} most=${160} />`
          }</span></li>`,
  )}</ul>
    <a class="more" href=${href("/search", { q: FAILURES, ...exactly(window) })}>All failures in this window</a>${" "}
    <a class="more" href=${href("/errors", exactly(window))}>Exceptions in groups</a>`;
}

/** @param {any} one */
const name = (one) => (typeof one.slot === "number" ? `w${one.slot}` : words.short(one.node, 24));

/** @param {any[]} workers @param {string} field */
function middle(workers, field) {
  const found = workers.filter((one) => one[field] !== null).sort((a, b) => a[field] - b[field]);
  return found.length ? found[Math.floor(found.length / 2)][field] * 1e6 : null;
}

/** @param {{name: string, value: any, more: any, kind?: string, to?: string}} given */
function Total({ name: said, value, more, kind = "", to }) {
  const inside = html`<span class="label">${said}</span><strong class=${kind}>${value ?? "–"}</strong>
    <span class="soft">${more ?? " "}</span>`;
  return to ? html`<a class="total" href=${to}>${inside}</a>` : html`<div class="total">${inside}</div>`;
}

/** @param {{stats: any[], window: import("./url.js").Window, loading: boolean}} given */
export function Routes({ stats, window, loading }) {
  const rows = [...stats]
    .sort((a, b) => b.p99 - a.p99)
    .slice(0, 8)
    .map((one) => [
      html`<a href=${href("/search", { q: all(REQUESTS, is("http.route", one.key)), ...exactly(window) })}>
          <${Text} value=${one.key} most=${80} /></a>`,
      words.count(one.count),
      words.took(one.p50),
      words.took(one.p95),
      words.took(one.p99),
    ]);
  if (!rows.length)
    return html`<p class="soft">
        ${loading ? "…" : "No request has a route. Some frameworks do not report which route matched."}</p>`;
  return html`<${Numbers} caption="Slowest routes" heads=${["Route", "requests", "p50", "p95", "p99"]} rows=${rows} />`;
}
