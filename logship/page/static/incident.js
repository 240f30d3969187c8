// What happened in a window, the causes first: when each began, what changed, what differs from the time before.
import { html } from "./html.js";
import { useEffect } from "./vendor/hooks.js";
import { address, useAsk, within } from "./api.js";
import { Bars, between, comparison, marksOf, What } from "./findings.js";
import { isCommand } from "./keys.js";
import { Lanes, useOverview } from "./lanes.js";
import { Copy, Nothing, Problem, Text, useTitle, When } from "./parts.js";
import { useRowKeys } from "./rows.js";
import { exactly, go, href, inMinutes, usePlace, useWindow, zoneOf } from "./url.js";
import { MINUTE, msOf, range } from "./time.js";
import * as words from "./words.js";

/** @typedef {import("./findings.js").Outlier} Finding */
/** @typedef {import("./findings.js").Interval} Interval */
/** @typedef {import("./time.js").Zone} Zone */

// An address with a moment shows the time around it.
const AROUND = 30 * MINUTE;

/** @param {{id: string}} given `id`: a moment, or "" for the time range of the address */
export function View({ id }) {
  useTitle("Incident");
  const at = Date.parse(id);
  useEffect(() => {
    if (!Number.isNaN(at)) go(href("/i", exactly({ since: at - AROUND, until: at + AROUND })), true);
  }, [id]);
  const window = useWindow(120);
  const zone = zoneOf(usePlace().params);
  useRowKeys();
  useEffect(() => {
    const key = (/** @type {KeyboardEvent} */ event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (event.key !== "r" || !isCommand(event) || target.matches("input, select")) return;
      document.querySelector(/** @type {any} */ ("[data-report]"))?.click();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  const span = inMinutes(window);
  const { data, error, loading } = useAsk(Number.isNaN(at) ? "incident" : null, within(span));
  const { data: overview } = useOverview(window);
  if (id && Number.isNaN(at))
    return html`<h1>Incident</h1><p>Not a time: <code>${words.short(id, 60)}</code>. Example: /i/2026-11-20T14:03Z.
      </p>`;
  const findings = /** @type {Finding[]} */ (data?.findings ?? []);
  return html`<h1 class="away">Incident</h1>${error && html`<${Problem} error=${error} />`}
    ${data && !data.window.requests && !findings.length && html`<${Nothing} what="No request" window=${window} />`}
    <section class="stands incident" aria-label="What happened" aria-busy=${loading}><h2>What happened</h2>
      ${
        data
          ? html`<p class=${findings.length ? "" : "calm"}><${Text} value=${data.sentence} /> <span class="soft">
                ${comparison(data, data.baseline, zone)}</span></p>
            <${Levels} levels=${data.levels} zone=${zone} />
            ${data.annotations.map(
              (/** @type {any} */ note) => html`<p class="note">
                  <span class="tag">note</span> <${When} at=${note.time} zone=${zone} /> <${Text} value=${note.text} />
                  ${note.service && html` <span class="soft">(<${Text} value=${note.service} />)</span>`}</p>`,
            )}
            <ol>${findings.map(
              (one) => html`<li class=${one.severity === "critical" ? "bad" : "warn"}>
                  <${What} finding=${one} window=${window} zone=${zone} /></li>`,
            )}</ol>
            <p class="soft">Evidence: <${Text} value=${data.evidence.sentence} /></p>
            <${Report} span=${span} />`
          : !error && html`<p class="soft" role="status">Comparing with the time before…</p>`
      }</section>
    ${
      overview?.workers?.length > 0 &&
      html`<${Lanes} workers=${overview.workers} window=${window} overview=${overview} more=${marksOf(findings)} />`
    }
    ${data && html`<${Differences} finding=${findings[0] ?? null} span=${span} zone=${zone} />`}`;
}

/** How each service changed as a whole. @param {{levels: any[], zone: Zone}} given */
function Levels({ levels, zone }) {
  const services = Map.groupBy(levels, (level) => level.service);
  return [...services].map(
    ([service, own]) => html`<dl class="levels" aria-label=${words.short(service, 60)}>
        ${own.map(
          (level) => html`<div class=${level.after === null ? "soft" : "changed"}>
              <dt>${services.size > 1 && html`<${Text} value=${service} most=${30} /> `}${level.measure}</dt>
              <dd>${shown(level, level.before)}
                ${level.after === null ? " unchanged" : html` → <strong>${shown(level, level.after)}</strong>`}
                ${level.began && html` <span class="soft">${between(level.began, zone)}</span>`}</dd></div>`,
        )}</dl>`,
  );
}

/** @param {{measure: string}} level @param {number} value */
function shown(level, value) {
  if (level.measure === "p99") return words.took(value);
  return level.measure === "failed requests" ? words.share(value, 1) : words.number(Number(value.toPrecision(3)));
}

/** This window as a report: as a file, and the command that writes the same. @param {{span: {since: number, until:
 * number}}} given */
function Report({ span }) {
  const times = exactly(span);
  const command = `logship incident --since ${times.since} --until ${times.until} --html incident.html`;
  const file = (/** @type {string} */ form) => address("report", { ...within(span), report_format: form });
  return html`<p class="actions">
      <a class="button" data-report href=${file("html")} download aria-keyshortcuts="r">Report (HTML)</a>
      <a class="button" href=${file("md")} download>Report (Markdown)</a></p>
    <p class="row-of"><code>${command}</code> <${Copy} text=${() => command}>copy</${Copy}></p>`;
}

/**
 * What differs, field value by field value, from the time before: during the first finding, or in the whole window.
 * @param {{finding: Finding | null, span: {since: number, until: number}, zone: Zone}} given
 */
function Differences({ finding, span, zone }) {
  const time = finding
    ? { since: msOf(finding.began[0]), until: finding.ended ? msOf(finding.ended[1]) : span.until }
    : span;
  const long = { since: time.since, until: Math.max(time.until, time.since + MINUTE) };
  const { data, error } = useAsk("compare", within(long));
  if (error) return html`<${Problem} error=${error} />`;
  if (!data) return null;
  return html`<section class="card"><h2>What differs from the time before</h2>
      <p class="soft">${range(long.since, long.until, zone)}: <${Text} value=${data.sentence} /></p>
      ${data.not_compared.map((/** @type {string} */ said) => html`<p class="soft"><${Text} value=${said} /></p>`)}
      <ul class="differences">${data.differences.map(
        (/** @type {any} */ one) => html`<li>
            <${Bars} before=${one.before} after=${one.after} />
            <a data-row href=${href("/search", { q: one.kql, ...exactly(long) })}>
              <span class="tag">${one.measured}</span>${" "}
              <${Text} value=${one.sentence} most=${400} /></a></li>`,
      )}</ul></section>`;
}
