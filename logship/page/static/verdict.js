// What stands out, in words: deaths, an uneven share, a slow worker, failures. Values in, sentences out.
import { html } from "./html.js";
import { href } from "./url.js";
import { requestAddress, When, workerAddress } from "./parts.js";
import { FAILURES, is, all } from "./kql.js";
import { msOf } from "./time.js";
import * as words from "./words.js";

// Chi-square alone says of a million requests that 2 % more is no chance; it matters when fewer workers than nine in
// ten would have done (facts of gunicorn, uwsgi and granian issues). Below so many requests nothing is said.
const LEAST_REQUESTS = 100;
const EFFECTIVE = 0.9;
const SLOWER = 2;
const SHOWN_REQUESTS = 4;

/** @param {any[]} workers @returns {{uneven: boolean, effective: number, sentence: string}} */
export function balance(workers) {
  const counts = workers.filter((one) => one.state === "alive" || one.requests).map((one) => one.requests);
  const total = counts.reduce((a, b) => a + b, 0), n = counts.length;
  if (n < 2) return { uneven: false, effective: n, sentence: n ? "One worker: there is nothing to share." : "No worker." };
  if (total < LEAST_REQUESTS) return { uneven: false, effective: n, sentence: `Too few requests to tell (${words.count(total)}).` };
  const effective = total ** 2 / counts.reduce((sum, one) => sum + one * one, 0);
  const most = workers.reduce((a, b) => (b.requests > a.requests ? b : a));
  const idle = workers.filter((one) => one.state === "alive" && !one.requests).length;
  const uneven = effective < EFFECTIVE * n;
  const rest = idle ? ` ${words.plural(idle, "worker")} had none.` : "";
  return {
    uneven, effective,
    sentence: uneven
      ? `Uneven: the requests of ${n} workers land on ${effective.toFixed(1)}; ${name(most)} has ${words.share(most.requests, total)}.${rest}`
      : `Even: the share of each is close to one in ${n}.`,
  };
}

/** @param {any} one */
const name = (one) => (typeof one.slot === "number" ? `w${one.slot}` : words.short(one.node, 30));

/** A worker whose p99 is far from that of the others, and has enough requests to say so. @param {any[]} workers */
export function slowest(workers) {
  const able = workers.filter((one) => one.p99_ms !== null && one.requests >= LEAST_REQUESTS);
  if (able.length < 2) return null;
  const worst = able.reduce((a, b) => (b.p99_ms > a.p99_ms ? b : a));
  const others = able.filter((one) => one !== worst).map((one) => one.p99_ms).sort((a, b) => a - b);
  const usual = others[Math.floor(others.length / 2)];
  return worst.p99_ms > SLOWER * usual && worst.p99_ms - usual > 5 ? { worker: worst, usual, times: worst.p99_ms / usual } : null;
}

/** @param {{workers: any[], marks: import("./words.js").Event[], kinds: {value: string, events: number}[], failures: import("./words.js").Event[], zone: import("./time.js").Zone}} given */
export function stands({ workers, marks, kinds, zone }) {
  /** @type {{kind: string, sign: string, what: any}[]} */
  const found = [];
  const deaths = marks.filter((one) => one["event.action"] === "worker-lost");
  for (const death of deaths.slice(-3).reverse()) {
    const node = death["service.node.name"] ?? "";
    const heir = marks.find((one) => one["event.action"] === "worker-started" && one["service.node.name"] === node && msOf(one["@timestamp"]) > msOf(death["@timestamp"]));
    const requests = /** @type {string[]} */ (death["logship.in_flight.requests"] ?? []), ids = death["logship.in_flight.ids"] ?? [];
    const count = death["logship.in_flight.count"] ?? requests.length;
    const code = death["process.exit_code"];
    found.push({ kind: "bad", sign: "✕", what: html`<p><strong><a href=${workerAddress(node)}>${words.workerName(death) || "A worker"}</a> died</strong> at <${When} at=${death["@timestamp"]} zone=${zone} />${code !== undefined ? ` (exit ${code})` : ""}${count ? ` with ${words.plural(count, "request")} in flight` : ""}${heir ? `; its successor began ${words.took((msOf(heir["@timestamp"]) - msOf(death["@timestamp"])) * 1e6)} later` : "; nobody has taken its place"}.</p>
      ${requests.length > 0 && html`<p class="pills">${requests.slice(0, SHOWN_REQUESTS).map((one, at) => html`<a class="pill code" href=${requestAddress(ids[at] ?? "")}><bdi>${words.short(one, 60)}</bdi></a>`)}${count > SHOWN_REQUESTS && html`<a class="pill" href=${workerAddress(node)}>and ${count - SHOWN_REQUESTS} more</a>`}</p>`}` });
  }
  if (deaths.length > 3) found.push({ kind: "bad", sign: "✕", what: html`<p>${words.count(deaths.length - 3)} more deaths in this time: <a href=${href("/search", { q: "event.action: worker-lost" })}>all of them</a>.</p>` });
  const slow = slowest(workers);
  if (slow) found.push({ kind: "warn", sign: "◔", what: html`<p><strong><a href=${workerAddress(slow.worker.node)}>${name(slow.worker)}</a> is slower than the others:</strong> its p99 is ${words.took(slow.worker.p99_ms * 1e6)}, ${slow.times.toFixed(1)} times theirs (${words.took(slow.usual * 1e6)}). <a href=${href("/search", { q: all(is("service.node.name", slow.worker.node), `event.duration >= ${Math.round(slow.worker.p99_ms * 1e6)}`) })}>Its slowest requests</a></p>` });
  const even = balance(workers);
  if (even.uneven) found.push({ kind: "warn", sign: "⚖", what: html`<p><strong>The traffic is uneven.</strong> ${even.sentence.replace(/^Uneven: t/, "T")}</p>` });
  const lost = workers.filter((one) => one.dropped);
  if (lost.length) found.push({ kind: "bad", sign: "!", what: html`<p><strong>Events were dropped</strong> by ${lost.map(name).join(", ")}: ${words.count(lost.reduce((sum, one) => sum + one.dropped, 0))} in all. <a href=${href("/account")}>The account per worker</a></p>` });
  const silent = workers.filter((one) => one.state === "silent");
  if (silent.length) found.push({ kind: "warn", sign: "?", what: html`<p><strong>${silent.map(name).join(", ")} ${silent.length === 1 ? "has" : "have"} not been heard of</strong> for more than two heartbeats, and no end was recorded.</p>` });
  const failed = kinds.filter((one) => one.value);
  if (failed.length) found.push({ kind: "warn", sign: "✱", what: html`<p><strong>Exceptions:</strong> ${failed.map((one, at) => html`${at ? ", " : ""}<a href=${href("/search", { q: all(FAILURES, is("error.type", one.value)) })}><bdi>${words.short(one.value.split(".").pop(), 60)}</bdi></a> ${words.count(one.events)} ×`)}</p>` });
  return found;
}
