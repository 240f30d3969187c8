// The account: did everything arrive? One verdict for each life of each worker, as `logship verify` gives it.
import { html } from "./html.js";
import { useAsk, within } from "./api.js";
import { Begin, Nothing, Problem, Text, useTitle, workerAddress } from "./parts.js";
import { exactly, href, useWindow } from "./url.js";
import { is } from "./kql.js";
import * as words from "./words.js";

/** @type {Record<string, [string, string]>} */
const SIGNS = { complete: ["good", "✓"], missing: ["bad", "!"], conflict: ["bad", "!"], duplicated: ["warn", "!"], unknown: ["warn", "?"] };
/** @type {Record<string, string>} */
const MEANS = {
  complete: "Every event that the workers numbered is stored.",
  missing: "Some events were numbered and are not stored.",
  conflict: "Some events arrived twice with different content, or counters contradict the events. Which are the worker's is not known.",
  duplicated: "Nothing is missing; some events are stored more than once.",
  unknown: "Nothing is known to be missing, but the last moments of a worker are not known.",
};

export function View() {
  useTitle("Account");
  const window = useWindow();
  const told = useAsk("verify", within(window));
  if (told.error && !told.data) return html`<${Problem} error=${told.error} />`;
  if (!told.data) return html`<div class="waiting" role="status">Counting…</div>`;
  const lives = /** @type {any[]} */ (told.data.verdicts)
    .slice()
    .sort(
      (a, b) =>
        Number(a.finding === "complete") - Number(b.finding === "complete") ||
        (a.node < b.node ? -1 : a.node > b.node ? 1 : (b.generation ?? 0) - (a.generation ?? 0)),
    );
  if (!lives.length)
    return html`<h1>Account</h1><${Nothing} what="No worker was heard of" window=${window}><${Begin} /></${Nothing}>`;
  const [kind, sign] = SIGNS[told.data.finding] ?? ["soft", "–"];
  const sum = (/** @type {(one: any) => number} */ of) => lives.reduce((all, one) => all + of(one), 0);
  const dropped = (/** @type {any} */ one) =>
    /** @type {number[]} */ (Object.values(one.dropped)).reduce((a, b) => a + b, 0);
  return html`<h1>Account</h1><p class=${`verdict-line ${kind}`}><span class="sign" aria-hidden="true">${sign}</span> <strong>${words.visible(told.data.finding)}</strong> ${MEANS[told.data.finding] ?? ""}</p>
    <section class="totals" aria-label="Totals"><div class="total"><span class="label">stored</span><strong>${words.count(sum((one) => one.stored))}</strong><span class="soft">events</span></div>
      <div class="total"><span class="label">missing</span><strong class=${sum((one) => one.missing) ? "bad" : ""}>${words.count(sum((one) => one.missing))}</strong><span class="soft">numbered, not stored</span></div>
      <div class="total"><span class="label">dropped</span><strong class=${sum(dropped) ? "bad" : ""}>${words.count(sum(dropped))}</strong><span class="soft">by workers, counted</span></div>
      <div class="total"><span class="label">stored twice</span><strong>${words.count(sum((one) => one.duplicates))}</strong><span class="soft">events</span></div>
      <div class="total"><span class="label">lives</span><strong>${words.count(lives.length)}</strong><span class="soft">of workers, in this time</span></div></section>
    <section class="card"><h2>Per life of a worker</h2><div class="scroll numbers" tabindex="0" role="region" aria-label="Account per life"><table><thead><tr><th scope="col">Worker</th><th scope="col" class="n">Life</th><th scope="col">Finding</th><th scope="col">State</th><th scope="col" class="n">stored</th><th scope="col" class="n">missing</th><th scope="col" class="n">dropped</th><th scope="col">In words</th></tr></thead>
      <tbody>${lives.map((one) => {
        const [its, mark] = SIGNS[one.finding] ?? ["soft", "–"];
        return html`<tr><th scope="row">${one.node ? html`<a href=${workerAddress(one.node)}><${Text} value=${one.node} most=${60} /></a>` : html`<span class="soft">${one.pid ? `pid ${one.pid}, no worker` : words.short(one.incarnation, 12)}</span>`}</th><td class="n"><a href=${href("/search", { q: is("service.ephemeral_id", one.incarnation), ...exactly(window) })}>${one.generation ?? "–"}</a></td>
        <td class=${its}><span aria-hidden="true">${mark}</span> ${words.visible(one.finding)}</td><td>${words.visible(one.state)}</td><td class="n">${words.count(one.stored)}</td><td class=${`n ${one.missing ? "bad" : ""}`}>${words.count(one.missing)}</td><td class=${`n ${dropped(one) ? "bad" : ""}`}>${words.count(dropped(one))}</td><td class="sentence">${words.visible(one.sentence)}</td></tr>`;
      })}</tbody></table></div>
    <p class="soft">Every event of a worker has a number, from 1 without gaps; heartbeats say how many were dropped. What is neither stored nor dropped is missing. The same on the command line: <code>logship verify</code>.</p></section>`;
}
