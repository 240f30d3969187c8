// What happened in a window, the causes first: when each began, what changed, what differs from the time before.
import { html } from "./html.js";
import { useEffect } from "./vendor/hooks.js";
import { useAsk, within } from "./api.js";
import { Lanes, useOverview } from "./lanes.js";
import { Copy, Nothing, Problem, Text, useTitle, workerAddress } from "./parts.js";
import { exactly, go, href, usePlace, useWindow, zoneOf } from "./url.js";
import { MINUTE, msOf, range, stamp } from "./time.js";
import * as words from "./words.js";

/** @typedef {import("./url.js").Window} Window */
/** @typedef {import("./time.js").Zone} Zone */
/** @typedef {[string, string]} Interval two times as RFC 3339, earliest and latest */
/**
 * @typedef {{rank: number, kind: string, severity: string, sentence: string, service: string, worker: string, fields:
 *   Record<string, string | string[]>, began: Interval, ended: Interval | null, evidence: Record<string, number>,
 *   query: string}} Finding
 */

// An address with a moment shows the time around it.
const AROUND = 30 * MINUTE;
// Events shortly before a change explain it, and the first ones after it show whether it is over.
const BESIDE = MINUTE;

/** @param {{id: string}} given `id`: a moment, or "" for the time range of the address */
export function View({ id }) {
  useTitle("Incident");
  const at = Date.parse(id);
  useEffect(() => {
    if (!Number.isNaN(at)) go(href("/i", exactly({ since: at - AROUND, until: at + AROUND })), true);
  }, [id]);
  const window = useWindow(120);
  const zone = zoneOf(usePlace().params);
  // Judged once a minute in a window that moves with the clock.
  const span = window.live ? { since: window.since, until: Math.floor(window.now / MINUTE) * MINUTE } : window;
  const { data, error, loading } = useAsk(Number.isNaN(at) ? "incident" : null, within(span));
  const { data: overview } = useOverview(window);
  if (id && Number.isNaN(at))
    return html`<h1>Incident</h1><p>Not a time: <code>${words.short(id, 60)}</code>. An address is /i/2026-11-20T14:03Z.
      </p>`;
  const findings = /** @type {Finding[]} */ (data?.findings ?? []);
  const began = findings.map((one) => ({
    at: msOf(one.began[0]),
    kind: /** @type {"began"} */ ("began"),
    words: `began: ${words.short(one.sentence, 160)}`,
    worker: one.worker,
  }));
  return html`<h1 class="away">Incident</h1>${error && html`<${Problem} error=${error} />`}
    ${data && !data.window.requests && !findings.length && html`<${Nothing} what="No request" window=${window} />`}
    <section class="stands incident" aria-label="What happened" aria-busy=${loading}><h2>What happened</h2>
      ${
        data
          ? html`<p class=${findings.length ? "" : "calm"}><${Text} value=${data.sentence} /> <span class="soft">
                ${words.count(data.window.requests)} requests, compared with
                ${` ${words.count(data.baseline.requests)} from `}
                ${range(msOf(data.baseline.since), msOf(data.baseline.until), zone)}.</span></p>
            <${Levels} levels=${data.levels} zone=${zone} />
            <ol>${findings.map((one) => html`<${Row} finding=${one} window=${window} zone=${zone} />`)}</ol>
            <p class="soft">Evidence: <${Text} value=${data.evidence.sentence} /></p>
            <${Report} window=${window} />`
          : !error && html`<p class="soft" role="status">Comparing with the time before…</p>`
      }</section>
    ${
      overview?.workers?.length > 0 &&
      html`<${Lanes} workers=${overview.workers} window=${window} overview=${overview} more=${began} />`
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

/** @param {Interval} times @param {Zone} zone */
function between(times, zone) {
  const [from, to] = times.map(msOf);
  return from === to ? stamp(from, zone, from) : range(from, to, zone);
}

/** @param {{finding: Finding, window: Window, zone: Zone}} given */
function Row({ finding, window, zone }) {
  const numbers = finding.evidence;
  const ended = finding.ended && finding.ended[1] !== finding.began[1];
  return html`<li class=${finding.severity === "critical" ? "bad" : "warn"}>
      <div><p><span class="tag">${finding.kind.replace("_", " ")}</span>${" "}
          <${Text} value=${finding.sentence} most=${800} /></p>
        ${
          numbers.requests_before > 0 &&
          html`<${Bars} before=${numbers.hits_before / numbers.requests_before}
              after=${numbers.hits_after / Math.max(numbers.requests_after, 1)} />`
        }
        <p class="soft">began ${between(finding.began, zone)}${
          ended
            ? `, ended ${between(/** @type {Interval} */ (finding.ended), zone)}`
            : finding.ended
              ? ""
              : ", not ended at the end of the window"
        } <a href=${href("/search", { q: finding.query, ...exactly(timeOf(finding, window)) })}>Its events</a>
          ${" "}<a href=${href("/i", exactly(timeOf(finding, window)))}>Zoom in</a>
          ${finding.worker && html` <a href=${workerAddress(finding.worker)}>Worker</a>`}</p></div></li>`;
}

/** The time of a finding with a minute beside it. @param {Finding} finding @param {{until: number}} window */
const timeOf = (finding, window) => ({
  since: msOf(finding.began[0]) - BESIDE,
  until: finding.ended ? msOf(finding.ended[1]) + BESIDE : window.until,
});

/** Two ratios as bars of one scale. @param {{before: number, after: number}} given */
function Bars({ before, after }) {
  const most = Math.max(before, after, 1e-9);
  return html`<svg class="two" viewBox="0 0 100 13" preserveAspectRatio="none" role="img"
      aria-label=${`before ${words.share(before, 1)}, then ${words.share(after, 1)}`}>
      <rect class="track" width="100" height="13" />
      <rect class="fill-plain" width=${(100 * before) / most} height="5" />
      <rect class="fill-5" y="7" width=${(100 * after) / most} height="6" /></svg>`;
}

/** The command that writes this window as a report. @param {{window: Window}} given */
function Report({ window }) {
  const times = exactly({ since: window.since, until: Math.min(window.until, window.now) });
  const command = `logship incident --since ${times.since} --until ${times.until} --html incident.html`;
  return html`<p class="row-of"><code>${command}</code> <${Copy} text=${() => command}>copy</${Copy}></p>`;
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
            <a href=${href("/search", { q: one.kql, ...exactly(long) })}><span class="tag">${one.measured}</span>${" "}
              <${Text} value=${one.sentence} most=${400} /></a></li>`,
      )}</ul></section>`;
}
