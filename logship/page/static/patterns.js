// Log messages in patterns, with their rates in the window and in the time that it is compared with.
import { html } from "./html.js";
import { useState } from "./vendor/hooks.js";
import { useAsk, within } from "./api.js";
import { Box } from "./box.js";
import { Bars } from "./findings.js";
import { Copy, Nothing, Problem, Text, useTitle } from "./parts.js";
import { useRowKeys } from "./rows.js";
import { exactly, href, inMinutes, patch, usePlace, useWindow } from "./url.js";
import { all } from "./kql.js";
import { DAY } from "./time.js";
import * as words from "./words.js";

/**
 * @typedef {{pattern: string, recorded: boolean, events: number, events_per_minute: number, example: string, kql:
 *   string, baseline_events: number, baseline_per_minute: number, change: string, significant: boolean, chance:
 *   number}} Pattern
 */

const SHOWN = 100;
/** How far back a baseline is, for a window of `span` ms. @type {Record<string, (span: number) => number>} */
const BASELINES = { preceding: (span) => span, yesterday: () => DAY, "last-week": () => 7 * DAY };
/** What a change is called, and its class. @type {Record<string, [string, string]>} */
const CHANGES = {
  new: ["new", "bad"],
  more: ["more frequent", "warn"],
  rarer: ["rarer", ""],
  gone: ["gone", ""],
  same: ["unchanged", "soft"],
};

export function View() {
  useTitle("Patterns");
  useRowKeys();
  const { params } = usePlace();
  const [shown, setShown] = useState(SHOWN);
  const q = params.q ?? "",
    baseline = BASELINES[params.baseline] ? params.baseline : "preceding";
  const window = useWindow();
  const span = inMinutes(window);
  const { data, error, loading } = useAsk("patterns", { q, baseline, ...within(span) });
  const found = /** @type {Pattern[]} */ (data?.patterns ?? []);
  const changes = Object.keys(CHANGES).filter((change) => found.some((one) => kindOf(one) === change));
  const chosen = changes.includes(params.change) ? params.change : "";
  const listed = found.filter((one) => !chosen || kindOf(one) === chosen);
  return html`<h1 class="away">Patterns of log messages</h1>
    <${Box} q=${q} window=${span} error=${error} verb="Group" onAsk=${(/** @type {string} */ next) =>
      patch({ q: next, change: null })}>
      <select aria-label="Compare with" value=${baseline}
        onChange=${(/** @type {any} */ event) => patch({ baseline: event.target.value, change: null })}>
        <option value="preceding">compared with the time before</option>
        <option value="yesterday">compared with yesterday</option>
        <option value="last-week">compared with last week</option></select>
    </${Box}>
    ${error && error.status !== 400 && html`<${Problem} error=${error} />`}
    ${
      data
        ? found.length === 0
          ? html`<${Nothing} what="No log messages" window=${window} />`
          : html`<section class="card" aria-busy=${loading}><h2>Patterns of log messages</h2>
              <p><${Text} value=${data.sentence} most=${600} /></p>
              <p class="chosen-by" role="group" aria-label="Show only">
                ${["", ...changes].map(
                  (change) => html`<button type="button" class=${`pill ${change === chosen ? "on" : ""}`}
                      aria-pressed=${change === chosen} onClick=${() => patch({ change: change || null })}>
                      ${change ? CHANGES[change][0] : "all"}${" "}
                      ${words.count(change ? found.filter((one) => kindOf(one) === change).length : found.length)}
                    </button>`,
                )}</p>
              <ol class="groups">
                ${listed.slice(0, shown).map(
                  (one) => html`<${Row} key=${one.kql} one=${one} q=${q} span=${span}
                        back=${BASELINES[baseline](span.until - span.since)} compared=${data.compared} />`,
                )}</ol>
              ${
                listed.length > shown &&
                html`<p class="end"><button type="button" onClick=${() => setShown(shown + SHOWN)}>
                      ${words.plural(listed.length - shown, "more pattern")}</button></p>`
              }</section>`
        : !error && html`<div class="waiting" role="status">Grouping log messages…</div>`
    }`;
}

/** @param {Pattern} one */
const kindOf = (one) => one.change || "same";

/**
 * @param {{one: Pattern, q: string, span: {since: number, until: number}, back: number, compared: boolean}} given
 * `back`: how far back the baseline is, in ms
 */
function Row({ one, q, span, back, compared }) {
  const [said, kind] = CHANGES[kindOf(one)];
  const now = words.number(Number(one.events_per_minute.toPrecision(3))),
    before = words.number(Number(one.baseline_per_minute.toPrecision(3)));
  const time = one.events ? span : { since: span.since - back, until: span.until - back };
  return html`<li>
      <a data-row href=${href("/search", { q: all(q, one.kql), ...exactly(time) })}>
        ${compared && html`<span class=${`tag ${one.significant ? kind : "soft"}`}>${said}</span> `}
        <code><${Text} value=${one.pattern} most=${600} /></code></a>
      ${
        compared &&
        html`<${Bars} before=${one.baseline_per_minute} after=${one.events_per_minute}
            said=${`before ${before} per minute, then ${now}`} />`
      }
      <p class="soft">${words.plural(one.events, "event")}, ${now} per minute${compared && ` (before: ${before})`}
        ${one.example !== one.pattern && html` · e.g. <${Text} value=${one.example} most=${200} />`}
        ${" "}<${Copy} text=${() => one.kql}>Copy KQL</${Copy}></p></li>`;
}
