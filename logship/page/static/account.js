// The delivery check: whether all emitted events are stored, with a verdict for each run of each worker.
import { html } from "./html.js";
import { useAsk, within } from "./api.js";
import { Begin, Nothing, Problem, Text, useTitle, workerAddress } from "./parts.js";
import { exactly, href, useWindow } from "./url.js";
import { is } from "./kql.js";
import * as words from "./words.js";

/** @type {Record<string, [string, string]>} */
const SIGNS = {
  complete: ["good", "✓"],
  missing: ["bad", "!"],
  conflict: ["bad", "!"],
  duplicated: ["warn", "!"],
  unknown: ["warn", "?"],
};
/** @type {Record<string, [string, string]>} */
const FILES = { intact: ["good", "✓"], consistent: ["soft", "✓"], changed: ["bad", "!"], unknown: ["warn", "?"] };

/** Whether the files of the store are as recorded. @param {{found?: {finding: string, sentence: string}}} given */
function Integrity({ found }) {
  if (!found) return null;
  const [kind, sign] = FILES[found.finding] ?? ["soft", "–"];
  return html`<p class=${`verdict-line ${kind}`}><span class="sign" aria-hidden="true">${sign}
      </span> <strong>integrity ${words.visible(found.finding)}</strong> <${Text} value=${found.sentence} />
    </p>`;
}

export function View() {
  useTitle("Delivery check");
  const window = useWindow();
  const result = useAsk("verify", within(window));
  if (result.error && !result.data) return html`<${Problem} error=${result.error} />`;
  if (!result.data) return html`<div class="waiting" role="status">Checking…</div>`;
  const runs = /** @type {any[]} */ (result.data.verdicts)
    .slice()
    .sort(
      (a, b) =>
        Number(a.finding === "complete") - Number(b.finding === "complete") ||
        (a.node < b.node ? -1 : a.node > b.node ? 1 : (b.generation ?? 0) - (a.generation ?? 0)),
    );
  if (!runs.length)
    return html`<h1>Delivery check</h1><${Nothing} what="No worker sent events" window=${window}><${Begin} />
      </${Nothing}>`;
  const [kind, sign] = SIGNS[result.data.finding] ?? ["soft", "–"];
  const sum = (/** @type {(one: any) => number} */ of) => runs.reduce((all, one) => all + of(one), 0);
  const dropped = (/** @type {any} */ one) =>
    /** @type {number[]} */ (Object.values(one.dropped)).reduce((a, b) => a + b, 0);
  return html`<h1>Delivery check</h1>
    <p class=${`verdict-line ${kind}`}><span class="sign" aria-hidden="true">${sign}
      </span> <strong>${words.visible(result.data.finding)}</strong> <${Text} value=${result.data.delivery.sentence} />
    </p>
    <${Integrity} found=${result.data.integrity} />
    <section class="totals" aria-label="Totals">
      <div class="total"><span class="label">stored</span><strong>${words.count(sum((one) => one.stored))}</strong>
        <span class="soft">events</span></div>
      <div class="total"><span class="label">missing</span>
        <strong class=${sum((one) => one.missing) ? "bad" : ""}>${words.count(sum((one) => one.missing))}</strong>
        <span class="soft">emitted, not stored</span></div>
      <div class="total"><span class="label">dropped</span>
        <strong class=${sum(dropped) ? "bad" : ""}>${words.count(sum(dropped))}</strong>
        <span class="soft">by workers, with a reason</span></div>
      <div class="total"><span class="label">stored twice</span><strong>${words.count(sum((one) => one.duplicates))}
        </strong><span class="soft">events</span></div>
      <div class="total"><span class="label">runs</span><strong>${words.count(runs.length)}</strong>
        <span class="soft">of workers, in this window</span></div></section>
    <section class="card"><h2>Runs of workers</h2>
      <div class="scroll numbers" tabindex="0" role="region" aria-label="Verdict per run">
        <table><thead>
            <tr><th scope="col">Worker</th><th scope="col" class="n">Run</th><th scope="col">Verdict</th>
              <th scope="col">State
              </th><th scope="col" class="n">stored</th><th scope="col" class="n">missing</th>
              <th scope="col" class="n">dropped
              </th><th scope="col">Details</th></tr></thead>
          <tbody>${runs.map((one) => {
            const [its, mark] = SIGNS[one.finding] ?? ["soft", "–"];
            return html`<tr>
                <th scope="row">
                  ${
                    one.node
                      ? html`<a href=${workerAddress(one.node)}><${Text} value=${one.node} most=${60} />
                        </a>`
                      : html`<span class="soft">
                          ${one.pid ? `pid ${one.pid} (not a worker)` : words.short(one.incarnation, 12)}
                        </span>`
                  }</th>
                <td class="n">
                  <a href=${href("/search", { q: is("service.ephemeral_id", one.incarnation), ...exactly(window) })}>
                    ${one.generation ?? "–"}</a></td>
                <td class=${its}><span aria-hidden="true">${mark}</span> ${words.visible(one.finding)}</td>
                <td>${words.workerState(one.state)}</td><td class="n">${words.count(one.stored)}</td>
                <td class=${`n ${one.missing ? "bad" : ""}`}>${words.count(one.missing)}</td>
                <td class=${`n ${dropped(one) ? "bad" : ""}`}>${words.count(dropped(one))}</td>
                <td class="sentence">${words.visible(one.sentence)}</td></tr>`;
          })}</tbody></table></div>
      <p class="soft">
        A worker numbers its events from 1 without gaps, and its heartbeats count the dropped ones. An event that is
        neither stored nor counted as dropped is missing. On the command line: <code>logship verify</code>.
      </p></section>`;
}
