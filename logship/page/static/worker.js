// One worker: its activity, its runs and how each ended, unfinished requests, slow requests, and the delivery check.
import { html } from "./html.js";
import { useAsk, within } from "./api.js";
import { Findings } from "./findings.js";
import { Lanes, State, useOverview } from "./lanes.js";
import { Nothing, Problem, requestAddress, Status, Text, useTitle, When } from "./parts.js";
import { exactly, href, usePlace, useWindow, zoneOf } from "./url.js";
import { all, FAILURES, is, REQUESTS } from "./kql.js";
import { Routes } from "./overview.js";
import { rfc, stamp } from "./time.js";
import * as words from "./words.js";

/** Findings that the page of their worker shows too. */
const STALLS = ["loop-stalled", "thread-pool-exhausted", "worker-paused"];

/** @param {{id: string}} given its service.node.name */
export function View({ id: node }) {
  const { params } = usePlace();
  const zone = zoneOf(params),
    window = useWindow();
  const q = is("service.node.name", node),
    slot = /\/(w\d+)$/.exec(node)?.[1] ?? words.short(node, 40);
  useTitle(`Worker ${slot}`);
  const span = within(window);
  const table = useOverview(window, q);
  const account = useAsk("verify", { q, ...span });
  const lost = useAsk("inflight", { worker: node, ...span });
  const worker = table.data?.workers.find((/** @type {any} */ one) => one.node === node) ?? null;
  const stalls = (table.data?.standout.findings ?? []).filter((/** @type {any} */ one) => STALLS.includes(one.kind));
  const blocked = { findings: stalls, not_judged: [] };
  const slow = useAsk("search", { q: all(REQUESTS, q), ...span, limit: 10, greatest: "event.duration" });
  if (table.error && !table.data) return html`<${Problem} error=${table.error} />`;
  const verdicts = /** @type {any[]} */ (account.data?.verdicts ?? []).slice().reverse();
  const without = /** @type {any[]} */ (lost.data?.requests ?? []);
  const unfinished = without.filter((one) => one.state === "lost"),
    running = without.filter((one) => one.state === "running");
  return html`<div class="worker">
      <header class="head"><h1>Worker ${words.visible(slot)} ${worker && html`<${State} worker=${worker} />`}</h1>
        <p class="facts"><bdi class="soft">${words.short(node, 120)}</bdi>
          ${
            worker &&
            html`<span>service <strong><${Text} value=${worker.service} most=${60} /></strong></span>
              <span>pid ${worker.pid ?? "–"}</span><span>up since ${stamp(worker.up_since_ns / 1e6, zone, Date.now())}
              </span>`
          }
        </p>
        <p class="actions"><a class="button" href=${href("/search", { q, ...exactly(window) })}>Events</a>
          <a class="button" href=${href("/search", { q: all(q, FAILURES), ...exactly(window) })}>Failures</a>
          <a class="button" href=${href("/tail", { q })}>Tail</a></p></header>
      ${
        table.data && !worker
          ? html`<${Nothing} what=${`${slot} sent no events`} window=${window} />`
          : html`
            <${Lanes} workers=${[worker ?? { node, slot: null, state: "", lives: 1 }]} window=${window}
              overview=${table.data}
              alone=${true} />`
      }
      ${stalls.length > 0 && html`<${Findings} standout=${blocked} window=${window} zone=${zone} />`}
      ${
        account.data && lost.data
          ? html`
            ${lost.data.not_visible.length > 0 && html`<p class="hint">${words.visible(lost.data.sentence)}</p>`}
            ${running.length > 0 && html`<${Unfinished} title="Running now" rows=${running} took="age" zone=${zone} />`}
            ${
              unfinished.length > 0 &&
              html`<${Unfinished} title="Interrupted by the crash" rows=${unfinished}
                  took="running for" zone=${zone} />`
            }
            <div class="columns">
              <section class="card wide"><h2>Process history</h2>
                <div class="scroll numbers" tabindex="0" role="region" aria-label="Process history">
                  <table><thead>
                      <tr><th scope="col">Run</th><th scope="col">pid</th><th scope="col">State</th>
                        <th scope="col" class="n">stored
                        </th><th scope="col" class="n">missing</th><th scope="col" class="n">dropped</th>
                        <th scope="col">Delivery check
                        </th></tr></thead>
                    <tbody>${verdicts.map(
                      (one) => html`<tr>
                          <th scope="row">
                            <a href=${href("/search", { q: is("service.ephemeral_id", one.incarnation) })}>
                              ${one.generation ?? words.short(one.incarnation, 8)}</a></th><td>${one.pid ?? ""}</td>
                          <td><${State} worker=${{ state: one.state }} /></td>
                          <td class="n">${words.count(one.stored)}
                          </td>
                          <td class=${`n ${one.missing ? "bad" : ""}`}>${words.count(one.missing)}</td>
                          <td class=${`n ${Object.keys(one.dropped).length ? "bad" : ""}`}>
                            ${words.count(
                              Object.values(one.dropped).reduce(
                                (/** @type {number} */ a, /** @type {any} */ b) => a + b,
                                0,
                              ),
                            )}
                          </td><td class="sentence">${words.visible(one.sentence)}</td></tr>`,
                    )}</tbody></table></div></section>
              <section class="card"><h2>Slowest requests</h2>
                ${
                  (slow.data?.records ?? []).length
                    ? html`<ol class="slow">
                        ${slow.data.records.map(
                          (/** @type {any} */ one) => html`<li>
                              <a href=${requestAddress(one["http.request.id"])}>
                                <span class="n">${words.took(one["event.duration"])}
                                </span> <${Status} event=${one} /> <${Text}
                                  value=${`${one["http.request.method"] ?? ""} ${one["url.path"] ?? ""}`} most=${80} />
                              </a></li>`,
                        )}
                      </ol>`
                    : html`<p class="soft">${slow.loading ? "…" : "No request in this window."}</p>`
                }</section>
              <section class="card"><h2>Slowest routes</h2>
                <${Routes} stats=${(table.data?.routes ?? []).filter((/** @type {any} */ one) => one.key)}
                  window=${window}
                  loading=${!table.data} /></section>
            </div>`
          : html`<div class="waiting" role="status">Loading…</div>`
      }</div>`;
}

/** Unfinished requests. @param {{title: string, rows: any[], took: string, zone: import("./time.js").Zone}} given */
function Unfinished({ title, rows, took, zone }) {
  return html`<section class=${`card ${took === "age" ? "" : "bad-edge"}`}><h2>${title}</h2>
      <div class="scroll numbers" tabindex="0" role="region" aria-label=${title}>
        <table><thead>
            <tr><th scope="col">Request</th><th scope="col" class="n">${took}</th><th scope="col">started</th>
              <th scope="col" class="n">run</th></tr></thead>
          <tbody>${rows.map(
            (one) => html`<tr>
                <th scope="row">
                  ${
                    one.id
                      ? html`<a href=${requestAddress(one.id)}><${Text} value=${one.what} most=${120} />
                        </a>`
                      : html`<${Text} value=${one.what} most=${120} />`
                  }</th><td class="n">${words.took(one.age_ns)}</td>
                <td><${When} at=${rfc(one.began_ns / 1e6)} zone=${zone} /></td><td class="n">${one.generation ?? ""}
                </td>
              </tr>`,
          )}
          </tbody></table></div></section>`;
}
