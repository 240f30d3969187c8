// How everybody is doing: what stands out in words, lanes per worker, shares, slow routes, newest failures.
import { html } from "./html.js";
import { useAsk, within } from "./api.js";
import { Lanes, useLatency, useLives, useTraffic } from "./lanes.js";
import { Begin, Nothing, Numbers, Problem, requestAddress, Text, useTitle, When, workerAddress } from "./parts.js";
import { exactly, href, usePlace, useWindow, zoneOf } from "./url.js";
import { all, FAILURES, is, REQUESTS } from "./kql.js";
import { balance, byService, Stands } from "./verdict.js";
import * as words from "./words.js";

export function View() {
  useTitle("Overview");
  const window = useWindow();
  const zone = zoneOf(usePlace().params);
  // Who is alive is judged as of the end of the window: one that is in the future would make everybody late.
  const table = useAsk("workers", within({ since: window.since, until: window.now }));
  const traffic = useTraffic(window);
  const lives = useLives(window);
  const latency = useLatency(window);
  const routes = useAsk("stats", { q: REQUESTS, field: "event.duration", by: "http.route", ...within(window) });
  const failures = useAsk("search", { q: FAILURES, limit: 8, ...within(window) });
  const failed = useAsk("tally", { q: FAILURES, by: "http.route", and_by: "error.type", ...within(window) });
  const several = byService(table.data?.workers ?? []).size > 1;
  const owners = useAsk(several ? "tally" : null, {
    q: FAILURES,
    by: "http.route",
    and_by: "service.name",
    ...within(window),
  });
  // The lanes need not wait for the table of workers: who answered requests is known before.
  const workers = table.data?.workers ?? null,
    seen = workers ?? nodes(traffic.data);
  if (table.error && !workers) return html`<h1 class="away">Overview</h1><${Problem} error=${table.error} />`;
  if (workers && !workers.length)
    return html`<h1 class="away">Overview</h1><${Nothing} what="No worker was heard of" window=${window}><${Begin} /></${Nothing}>`;
  const sum = (/** @type {string} */ name) =>
    (workers ?? []).reduce((/** @type {number} */ all, /** @type {any} */ one) => all + (one[name] ?? 0), 0);
  const requests = sum("requests"),
    errors = sum("errors");
  const alive = (workers ?? []).filter((/** @type {any} */ one) => one.state === "alive");
  const whole = (routes.data?.stats ?? []).filter((/** @type {any} */ one) => one.key);
  return html`<h1 class="away">Overview</h1>${table.error && html`<${Problem} error=${table.error} />`}
    <section class="totals" aria-label="Totals">
      <${Total} name="requests" value=${workers && words.count(requests)} more=${workers && `${words.number(Number((requests / Math.max((table.data?.covered_ns ?? 0) / 1e9, 1)).toFixed(1)))} a second`} to=${href("/search", { q: REQUESTS, ...exactly(window) })} />
      <${Total} name="failed" value=${workers && words.count(errors)} more=${workers && words.share(errors, requests)} kind=${errors ? "bad" : ""} to=${href("/search", { q: FAILURES, ...exactly(window) })} />
      <${Total} name="median of workers" value=${workers && words.took(middle(workers, "p50_ms"))} more=${workers && `slowest p99 ${words.took(Math.max(0, ...workers.map((/** @type {any} */ one) => (one.p99_ms ?? 0) * 1e6)))}`} />
      <${Total} name="workers" value=${workers && `${alive.length} alive`} more=${workers && (alive.length === workers.length ? "all that were seen" : `of ${workers.length} that were seen`)} />
      <${Total} name="in flight" value=${workers && words.count(sum("in_flight"))} more="at the last heartbeats" />
    </section>
    <${Stands} workers=${workers} lives=${lives} failed=${failed} owners=${owners} routes=${routes} window=${window} zone=${zone} />
    ${seen ? html`<${Lanes} workers=${seen} window=${window} traffic=${traffic.data} latency=${latency} lives=${lives.data} />` : html`<div class="lanes-wait" role="status"><span class="away">Loading</span></div>`}
    <div class="columns">
      <section class="card"><h2>Share per worker</h2>${workers && [...byService(workers)].map(([service, its]) => html`<p class="verdict">${several && html`<strong><bdi>${words.short(service || "no service", 40)}</bdi>:</strong> `}${balance(its).sentence}</p>
        ${its.map(
          (/** @type {any} */ one) => html`<div class="share"><a href=${workerAddress(one.node)}>${name(one)}</a>
          <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="10" /><rect class="fill-2" width=${one.share * 100} height="10" /><path class="even" d=${`M${100 / its.length} 0V10`} /></svg>
          <span class="n">${words.share(one.share, 1)}</span></div>`,
        )}`)}</section>
      <section class="card"><h2>Slowest routes</h2><${Routes} stats=${whole} window=${window} loading=${routes.loading && !routes.data} /></section>
      <section class="card wide"><h2>Newest failures</h2>
        ${
          (failures.data?.records ?? []).length
            ? html`<ul class="failures">${failures.data.records.map(
                (
                  /** @type {any} */ one,
                ) => html`<li><${When} at=${one["@timestamp"]} zone=${zone} /><span class="tag">${words.workerName(one, several)}</span>
            <a href=${one["http.request.id"] ? requestAddress(one["http.request.id"]) : href(`/e/${one["event.id"]}`)}><${Text} value=${one.message} most=${120} /></a>
            <span class="soft">${one["error.type"] && html`<${Text} value=${`${one["error.type"].split(".").pop()}: ${one["error.message"] ?? ""}`} most=${160} />`}</span></li>`,
              )}</ul>
            <a class="more" href=${href("/search", { q: FAILURES, ...exactly(window) })}>All failures of this time</a>`
            : failures.data
              ? html`<p class="soft">None in this time.</p>`
              : html`<p class="soft">…</p>`
        }</section>
    </div>`;
}

/** Workers by their requests alone. @param {import("./lanes.js").Traffic | null} traffic */
function nodes(traffic) {
  if (!traffic || !traffic.size) return null;
  return [...traffic.keys()].sort().map((node) => ({
    node,
    service: "",
    slot: Number(/\/w(\d+)$/.exec(node)?.[1] ?? NaN) || 0,
    state: "",
    lives: 1,
    requests: null,
    p50_ms: null,
    p99_ms: null,
    errors: null,
  }));
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
  const inside = html`<span class="label">${said}</span><strong class=${kind}>${value ?? "–"}</strong><span class="soft">${more ?? " "}</span>`;
  return to ? html`<a class="total" href=${to}>${inside}</a>` : html`<div class="total">${inside}</div>`;
}

/** @param {{stats: any[], window: import("./url.js").Window, loading: boolean}} given */
export function Routes({ stats, window, loading }) {
  const rows = [...stats]
    .sort((a, b) => b.p99 - a.p99)
    .slice(0, 8)
    .map((one) => [
      html`<a href=${href("/search", { q: all(REQUESTS, is("http.route", one.key)), ...exactly(window) })}><${Text} value=${one.key} most=${80} /></a>`,
      words.count(one.count),
      words.took(one.p50),
      words.took(one.p95),
      words.took(one.p99),
    ]);
  if (!rows.length)
    return html`<p class="soft">${loading ? "…" : "No route was recorded: the framework did not say which one matched."}</p>`;
  return html`<${Numbers} caption="Slowest routes" heads=${["Route", "requests", "p50", "p95", "p99"]} rows=${rows} />`;
}
