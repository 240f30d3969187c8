// What stands out, in words: deaths, an uneven share, a slow worker, failures. Values in, sentences out.
import { html } from "./html.js";
import { useRef } from "./vendor/hooks.js";
import { useAsk, within } from "./api.js";
import { href } from "./url.js";
import { requestAddress, When, workerAddress } from "./parts.js";
import { all, FAILURES, is, REQUESTS } from "./kql.js";
import { msOf } from "./time.js";
import * as words from "./words.js";

// Chi-square alone says of a million requests that 2 % more is no chance; it matters when fewer workers than nine in
// ten would have done (facts of gunicorn, uwsgi and granian issues). Below so many requests nothing is said.
const LEAST_REQUESTS = 100;
const EFFECTIVE = 0.9;
const SLOWER = 2;
const LEAST_SLOWER_NS = 5e6;
// A percentile of a handful of requests is one of them.
const LEAST_OF_ROUTE = 10;
const ROUTES_NAMED = 2;
// A loop that is late by less than that is late by chance.
const LEAST_LAG_NS = 3e7;
const SHOWN_REQUESTS = 4;

/** @param {any[]} workers @returns {{uneven: boolean, effective: number, sentence: string}} */
export function balance(workers) {
  const counts = workers.filter((one) => one.state === "alive" || one.requests).map((one) => one.requests);
  const total = counts.reduce((a, b) => a + b, 0),
    n = counts.length;
  if (n < 2)
    return { uneven: false, effective: n, sentence: n ? "One worker: there is nothing to share." : "No worker." };
  if (total < LEAST_REQUESTS)
    return { uneven: false, effective: n, sentence: `Too few requests to tell (${words.count(total)}).` };
  const effective = total ** 2 / counts.reduce((sum, one) => sum + one * one, 0);
  const most = workers.reduce((a, b) => (b.requests > a.requests ? b : a));
  const idle = workers.filter((one) => one.state === "alive" && !one.requests).length;
  const uneven = effective < EFFECTIVE * n;
  const rest = idle ? ` ${words.plural(idle, "worker")} had none.` : "";
  return {
    uneven,
    effective,
    sentence: uneven
      ? `Uneven: the requests of ${n} workers land on ${effective.toFixed(1)}; ${name(most)} has ${words.share(most.requests, total)}.${rest}`
      : `Even: the share of each is close to one in ${n}.`,
  };
}

/** The workers of each service. @param {any[]} workers @returns {Map<string, any[]>} */
export const byService = (workers) => Map.groupBy(workers, (one) => one.service ?? "");

/** @param {any} one @param {boolean} [several] whether there are several services */
const name = (one, several = false) =>
  `${several && one.service ? `${words.short(one.service, 24)} ` : ""}${typeof one.slot === "number" ? `w${one.slot}` : words.short(one.node, 30)}`;

/** A worker whose p99 is far from that of the others of its service, and has enough requests to say so; of several the
 * one that is furthest. @param {any[]} workers @returns {{worker: any, usual: number, times: number} | null} */
export function slowest(workers) {
  const found = [...byService(workers).values()].map(slowestOf).filter((one) => one !== null);
  return found.length ? found.reduce((a, b) => (b.times > a.times ? b : a)) : null;
}

/** @param {any[]} workers of one service */
function slowestOf(workers) {
  const able = workers.filter((one) => one.p99_ms !== null && one.requests >= LEAST_REQUESTS);
  if (able.length < 2) return null;
  const worst = able.reduce((a, b) => (b.p99_ms > a.p99_ms ? b : a));
  const others = able
    .filter((one) => one !== worst)
    .map((one) => one.p99_ms)
    .sort((a, b) => a - b);
  const usual = others[Math.floor(others.length / 2)];
  return worst.p99_ms > SLOWER * usual && (worst.p99_ms - usual) * 1e6 > LEAST_SLOWER_NS
    ? { worker: worst, usual, times: worst.p99_ms / usual }
    : null;
}

/** Why a worker is slower than the others: on which routes, and whether its event loop was held up.
 * @param {{its: any[], others: any[], beats: import("./words.js").Event[], node: string}} given statistics by route, and heartbeats
 * @returns {{every: boolean, routes: {route: string, p99: number, usual: number}[], lag: number | null}} `lag` in ns, null when it is as usual */
export function reason({ its, others, beats, node }) {
  const usual = new Map(others.map((one) => [one.key, one.p99]));
  const known = its.filter((one) => one.key && one.count >= LEAST_OF_ROUTE && usual.has(one.key));
  const routes = known
    .map((one) => ({ route: one.key, p99: one.p99, usual: usual.get(one.key) }))
    .filter((one) => one.p99 > SLOWER * one.usual && one.p99 - one.usual > LEAST_SLOWER_NS)
    .sort((a, b) => b.p99 - a.p99);
  // Each heartbeat says how late the loop was at worst; one late moment is the machine's, many are the worker's.
  const late = (/** @type {boolean} */ here) =>
    beats
      .filter((one) => (one["service.node.name"] === node) === here)
      .map((one) => one["logship.loop_lag.max_ns"] ?? 0);
  const mean = (/** @type {number[]} */ all) => all.reduce((sum, one) => sum + one, 0) / Math.max(1, all.length);
  const held = mean(late(true)) > Math.max(LEAST_LAG_NS, SLOWER * mean(late(false)));
  return {
    every: routes.length > 1 && routes.length === known.length,
    routes,
    lag: held ? Math.max(...late(true)) : null,
  };
}

/** @param {ReturnType<typeof reason>} told @param {string} node */
function because({ every, routes, lag }, node) {
  const warnings = href("/search", {
    q: all(is("service.node.name", node), "log.level: (warning or error or critical)"),
  });
  return html`${every ? html` <strong>Every route</strong> is slower there.` : routes.length > 0 && html` Slower there: ${routes.slice(0, ROUTES_NAMED).map((one, at) => html`${at ? ", " : ""}<a class="code" href=${href("/search", { q: all(REQUESTS, is("service.node.name", node), is("http.route", one.route)) })}><bdi>${words.short(one.route, 40)}</bdi></a> (${words.took(one.p99)}, elsewhere ${words.took(one.usual)})`)}.`}
    ${lag !== null && html` <strong>Its event loop was held up</strong> for as long as ${words.took(lag)}, and whatever it was answering waited: <a href=${warnings}>what it warned of</a>.`}`;
}

/** Routes with failures, most first, each with its exceptions. @param {{key: string, and_key: string, events: number}[]} buckets by route and type of error */
export function failing(buckets) {
  return [...Map.groupBy(buckets, (one) => one.key)]
    .map(([route, many]) => ({
      route,
      events: many.reduce((sum, one) => sum + one.events, 0),
      kinds: many.filter((one) => one.and_key).sort((a, b) => b.events - a.events),
    }))
    .sort((a, b) => b.events - a.events);
}

/** What stands out, the gravest first.
 * @param {{workers: any[], marks: import("./words.js").Event[], failures: {key: string, and_key: string, events: number}[], owners?: {key: string, and_key: string}[], routes: any[], why: ReturnType<typeof reason> | null, zone: import("./time.js").Zone}} given
 * `failures` by route and type of error; `owners`: the same by route and service; `routes`: statistics of all requests by route; `why` of the slowest worker */
export function stands({ workers, marks, failures, owners = [], routes, why, zone }) {
  /** @type {{kind: string, sign: string, what: any}[]} */
  const found = [];
  const services = byService(workers),
    several = services.size > 1;
  const deaths = marks.filter((one) => one["event.action"] === "worker-lost");
  for (const death of deaths.slice(-3).reverse()) {
    const node = death["service.node.name"] ?? "";
    const heir = marks.find(
      (one) =>
        one["event.action"] === "worker-started" &&
        one["service.node.name"] === node &&
        msOf(one["@timestamp"]) > msOf(death["@timestamp"]),
    );
    const requests = /** @type {string[]} */ (death["logship.in_flight.requests"] ?? []),
      ids = death["logship.in_flight.ids"] ?? [];
    const count = death["logship.in_flight.count"] ?? requests.length;
    const code = death["process.exit_code"];
    found.push({
      kind: "bad",
      sign: "✕",
      what: html`<p><strong><a href=${workerAddress(node)}>${words.workerName(death, several) || "A worker"}</a> died</strong> at <${When} at=${death["@timestamp"]} zone=${zone} />${code !== undefined ? ` (exit ${code})` : ""}${count ? ` with ${words.plural(count, "request")} in flight` : ""}${heir ? `; its successor began ${words.took((msOf(heir["@timestamp"]) - msOf(death["@timestamp"])) * 1e6)} later` : "; nobody has taken its place"}.</p>
      ${requests.length > 0 && html`<p class="pills">${requests.slice(0, SHOWN_REQUESTS).map((one, at) => html`<a class="pill code" href=${requestAddress(ids[at] ?? "")}><bdi>${words.short(one, 60)}</bdi></a>`)}${count > SHOWN_REQUESTS && html`<a class="pill" href=${workerAddress(node)}>and ${count - SHOWN_REQUESTS} more</a>`}</p>`}`,
    });
  }
  if (deaths.length > 3)
    found.push({
      kind: "bad",
      sign: "✕",
      what: html`<p>${words.count(deaths.length - 3)} more deaths in this time: <a href=${href("/search", { q: "event.action: worker-lost" })}>all of them</a>.</p>`,
    });
  const slow = slowest(workers);
  if (slow)
    found.push({
      kind: "warn",
      sign: "◔",
      what: html`<p><strong><a href=${workerAddress(slow.worker.node)}>${name(slow.worker, several)}</a> is slower than the others:</strong> its p99 is ${words.took(slow.worker.p99_ms * 1e6)}, ${slow.times.toFixed(1)} times theirs (${words.took(slow.usual * 1e6)}). ${why && because(why, slow.worker.node)} <a href=${href("/search", { q: all(is("service.node.name", slow.worker.node), `event.duration >= ${Math.round(slow.worker.p99_ms * 1e6)}`) })}>Its slowest requests</a></p>`,
    });
  for (const one of failing(failures).slice(0, ROUTES_NAMED)) {
    const q = one.route ? all(FAILURES, is("http.route", one.route)) : FAILURES,
      asked = routes.find((stat) => stat.key === one.route)?.count ?? 0,
      of = several ? owners.filter((owner) => owner.key === one.route && owner.and_key).map((owner) => owner.and_key) : [];
    found.push({
      kind: "bad",
      sign: "!",
      what: html`<p><strong>${one.route ? html`<a href=${href("/search", { q })}><bdi>${words.short(one.route, 60)}</bdi></a>` : "A request of no known route"}${of.length ? ` of ${of.map((service) => words.short(service, 24)).join(" and ")}` : ""} failed</strong> ${one.events === 1 ? "once" : `${words.count(one.events)} times`}${asked ? ` of ${words.count(asked)} (${words.share(one.events, asked)})` : ""}${one.kinds.length ? ": " : "."}${one.kinds.slice(0, 3).map((kind, at) => html`${at ? ", " : ""}<a href=${href("/search", { q: all(q, is("error.type", kind.and_key)) })}><bdi>${words.short(kind.and_key.split(".").pop(), 60)}</bdi></a> ${words.count(kind.events)} ×`)}</p>`,
    });
  }
  for (const [service, its] of services) {
    const even = balance(its);
    if (!even.uneven) continue;
    found.push({
      kind: "warn",
      sign: "⚖",
      what: html`<p><strong>The traffic${several && html` of <bdi>${words.short(service, 40)}</bdi>`} is uneven.</strong> ${even.sentence.replace(/^Uneven: t/, "T")}</p>`,
    });
  }
  const lost = workers.filter((one) => one.dropped);
  if (lost.length)
    found.push({
      kind: "bad",
      sign: "!",
      what: html`<p><strong>Events were dropped</strong> by ${lost.map((one) => name(one, several)).join(", ")}: ${words.count(lost.reduce((sum, one) => sum + one.dropped, 0))} in all. <a href=${href("/account")}>The account per worker</a></p>`,
    });
  const silent = workers.filter((one) => one.state === "silent");
  if (silent.length)
    found.push({
      kind: "warn",
      sign: "?",
      what: html`<p><strong>${silent.map((one) => name(one, several)).join(", ")} ${silent.length === 1 ? "has" : "have"} not been heard of</strong> for more than two heartbeats, and no end was recorded.</p>`,
    });
  return found;
}

/** What stands out, as a part of the overview. It is shown when all that it is told from has been answered, so that
 * nothing jumps; then it stays until the next is complete.
 * @param {{workers: any[] | null, lives: any, failed: any, owners: any, routes: any, window: import("./url.js").Window, zone: import("./time.js").Zone}} given */
export function Stands({ workers, lives, failed, owners, routes, window, zone }) {
  const slow = slowest(workers ?? [])?.worker,
    node = slow?.node;
  const byRoute = (/** @type {string} */ which) =>
    node && { q: all(REQUESTS, slow.service && is("service.name", slow.service), `${which}${is("service.node.name", node)}`), field: "event.duration", by: "http.route" };
  const asked = { ...(node ? within(window) : {}) };
  const its = useAsk(node ? "stats" : null, { ...byRoute(""), ...asked });
  const others = useAsk(node ? "stats" : null, { ...byRoute("not "), ...asked });
  const shown = useRef(/** @type {ReturnType<typeof stands> | null} */ (null));
  const there = (/** @type {any} */ one) => one.data || one.error;
  if (workers && there(lives) && there(failed) && (there(owners) || byService(workers).size < 2) && there(routes) && (!node || (there(its) && there(others)))) {
    const beats = lives.data?.beats ?? [],
      stats = { its: its.data?.stats ?? [], others: others.data?.stats ?? [] };
    const why = node ? reason({ ...stats, beats, node }) : null;
    const marks = lives.data?.marks ?? [],
      failures = failed.data?.buckets ?? [];
    shown.current = stands({ workers, marks, failures, owners: owners.data?.buckets ?? [], routes: routes.data?.stats ?? [], why, zone });
  }
  const told = shown.current;
  const list = () =>
    html`<ul>${told?.map((one) => html`<li class=${one.kind}><span class="sign" aria-hidden="true">${one.sign}</span><div>${one.what}</div></li>`)}</ul>`;
  const calm = html`<p class="calm"><span class="good" aria-hidden="true">✓</span> Nothing: no worker died, none is much slower than the others, the traffic is spread evenly, nothing failed.</p>`;
  return html`<section class="stands" aria-label="What stands out"><h2>What stands out</h2>${told ? (told.length ? list() : calm) : html`<p class="soft">…</p>`}</section>`;
}
