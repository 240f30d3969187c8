// What stands out in a window. The server judges and writes the sentences; the page adds times and links.
import { html } from "./html.js";
import { askLater, useAnswer, within } from "./api.js";
import { Problem, requestAddress, Text, When, workerAddress } from "./parts.js";
import { exactly, href, inMinutes } from "./url.js";
import { MINUTE, msOf, range, rfc, stamp } from "./time.js";
import * as words from "./words.js";

/** @typedef {import("./url.js").Window} Window */
/** @typedef {import("./time.js").Zone} Zone */
/**
 * @typedef {{kind: string, severity: string, sentence: string, kql: string, service: string, worker: string, since_ns:
 *   number | null, until_ns: number | null, fields: Record<string, string | string[]>, evidence: Record<string,
 *   number>}} Finding of the window alone
 */
/** @typedef {{findings: Finding[], balances: any[], not_judged: string[], sentence: string}} Standout */
/** @typedef {[string, string]} Interval two times as RFC 3339, earliest and latest */
/**
 * @typedef {{rank: number, kind: string, severity: string, sentence: string, service: string, worker: string, fields:
 *   Record<string, string | string[]>, began: Interval, ended: Interval | null, evidence: Record<string, number>,
 *   query: string}} Outlier against the time before
 */

const SHOWN_REQUESTS = 4;
// With 300,000 requests in the window and as many before it, comparing took 10 s on two busy cores; an overview 2.5 s.
export const COMPARED_MOST = 300_000;
// How the sentence of an incident without findings begins; with findings of the window alone only its rest is true.
const NOTHING = /^Nothing stands out: (.)/;
// Events shortly before a change explain it, and the first ones after it show whether it is over.
const BESIDE = MINUTE;
/** A sign, and what its events are called. @type {Record<string, [string, string]>} */
const KINDS = {
  "worker-crashed": ["✕", "Crash report"],
  "worker-slow": ["◔", "Its slowest requests"],
  "worker-silent": ["?", "Last events"],
  "worker-paused": ["‖", "Its pauses"],
  "loop-stalled": ["■", "Its stalls"],
  "thread-pool-exhausted": ["■", "Reports"],
  "route-failing": ["!", "Failed requests"],
  "traffic-unbalanced": ["⚖", "Its requests"],
  "events-dropped": ["!", "Heartbeats with the counts"],
  "store-damaged": ["!", ""],
};
/** Signs of kinds of an incident, where they differ from "!". @type {Record<string, string>} */
const SIGNS = {
  death: "✕",
  slow: "◔",
  stall: "■",
  imbalance: "⚖",
  traffic: "↕",
  gap: "?",
  deploy: "▲",
  new_pattern: "+",
};
/** Kinds whose name is not the one to show. @type {Record<string, string>} */
const LABELS = { death: "crash", gap: "missing events", drops: "dropped events" };
/** The kinds of an incident that say the same as a finding of the window alone. @type {Record<string, string[]>} */
const SAME = {
  "worker-crashed": ["death"],
  "worker-slow": ["slow", "stall", "deploy"],
  "loop-stalled": ["stall"],
  "route-failing": ["failing", "status", "deploy", "new_error"],
  "traffic-unbalanced": ["imbalance", "traffic"],
  "events-dropped": ["drops"],
};

/** What differs from the time before, asked for after the charts; live windows once a minute.
 * @param {Window} window @param {number | null} requests in the window, null if not known yet
 * @returns {import("./api.js").Answer<any>} */
export function useIncident(window, requests) {
  const span = inMinutes(window);
  const wanted = requests !== null && requests <= COMPARED_MOST;
  return useAnswer(wanted ? `incident ${span.since} ${span.until}` : null, (signal) =>
    askLater("incident", within(span), signal),
  );
}

/** Whether an incident has a finding that says the same. @param {Finding} finding @param {Outlier[]} outliers */
const covered = (finding, outliers) => outliers.some((outlier) => same(finding, outlier));

/** @param {Finding} finding @param {Outlier} outlier */
function same(finding, outlier) {
  if (!(SAME[finding.kind] ?? []).includes(outlier.kind)) return false;
  if (finding.worker && outlier.worker && finding.worker !== outlier.worker) return false;
  const [route, other] = [finding, outlier].map((one) => one.fields["http.route"]);
  return !route || !other || [other].flat().some((value) => [route].flat().includes(value));
}

/**
 * What stands out: the incident of the window, then what was judged without a comparison. Without `incident` only that.
 * @param {{standout: Standout | null, error: any, window: Window, zone: Zone, incident?:
 *   import("./api.js").Answer<any>, requests?: number}} given
 */
export function Findings({ standout, error, window, zone, incident, requests = 0 }) {
  const compared = incident?.data ?? null;
  const outliers = /** @type {Outlier[]} */ (compared?.findings ?? []);
  const rest = (standout?.findings ?? []).filter((finding) => !covered(finding, outliers));
  const crashes = (standout?.findings ?? []).filter((finding) => finding.kind === "worker-crashed");
  const body = !standout
    ? error
      ? html`<${Problem} error=${error} />`
      : html`<p class="soft">…</p>`
    : html`
      ${
        incident &&
        html`<${Compared} incident=${incident} requests=${requests} others=${rest.length > 0} window=${window}
          zone=${zone} />`
      }
      ${
        outliers.length + rest.length > 0 &&
        html`<ul>
            ${outliers.map(
              (one, at) => html`<li key=${at} class=${one.severity === "critical" ? "bad" : "warn"}>
                  <span class="sign" aria-hidden="true">${SIGNS[one.kind] ?? "!"}</span>
                  <${What} finding=${one} window=${window} zone=${zone}>
                    <${Interrupted}
                      finding=${crashes.find((crash) => one.kind === "death" && crash.worker === one.worker)} />
                  </${What}></li>`,
            )}
            ${rest.map(
              (finding) => html`<${Row} key=${finding.kind + finding.kql} finding=${finding} window=${window}
                  zone=${zone} alone=${compared !== null} />`,
            )}</ul>`
      }
      ${!compared && rest.length === 0 && html`<p class="calm"><${Text} value=${standout.sentence} /></p>`}
      ${standout.not_judged.map((sentence) => html`<p class="soft"><${Text} value=${sentence} /></p>`)}`;
  // Its height is the same before and after the comparison: what is below must not jump.
  return html`<section class=${`stands ${incident ? "held" : ""}`} aria-label="What stands out"
      aria-busy=${incident?.loading ?? false}>
      <h2>What stands out</h2>
      <a class="more" href=${href("/i", exactly(window))}>Incident in detail</a><div>${body}</div></section>`;
}

/** What the incident was compared with, or why it is not there. @param {{incident: import("./api.js").Answer<any>,
 * requests: number, others: boolean, window: Window, zone: Zone}} given
 * `others`: whether there are findings of the window alone */
function Compared({ incident, requests, others, window, zone }) {
  if (incident.error && !incident.data)
    return html`<p class="soft">Not compared with the time before: <${Text} value=${incident.error.message} /></p>`;
  if (requests > COMPARED_MOST)
    return html`<p class="soft">
        Not compared with the time before: ${words.count(requests)} requests; the link starts it.</p>`;
  if (!incident.data) return html`<p class="soft" role="status">Comparing with the time before…</p>`;
  const { baseline, findings, sentence } = incident.data;
  // A live range is compared in whole minutes: a crash a moment ago is not in it, and must not be denied.
  const until = msOf(incident.data.window.until);
  const part = until < window.until - 1000 && `Until ${stamp(until, zone, until)}: `;
  return html`<p class=${findings.length || others ? "" : "calm"}>${part}
      <${Text} value=${others ? sentence.replace(NOTHING, capital) : sentence} />
      ${" "}<span class="soft">${comparison(incident.data, baseline, zone)}</span></p>`;
}

/** @param {string} _ @param {string} first */
const capital = (_, first) => first.toUpperCase();

/** @param {any} data of an incident @param {any} baseline @param {Zone} zone */
export const comparison = (data, baseline, zone) =>
  `${words.plural(data.window.requests, "request")}, compared with ${words.count(baseline.requests)} from ${range(
    msOf(baseline.since),
    msOf(baseline.until),
    zone,
  )}.`;

/**
 * One finding of an incident: its kind, sentence, numbers, time and links.
 * @param {{finding: Outlier, window: Window, zone: Zone, children?: any}} given
 */
export function What({ finding, window, zone, children }) {
  const numbers = finding.evidence;
  const ended = finding.ended && finding.ended[1] !== finding.began[1];
  return html`<div>
      <p><span class="tag">${LABELS[finding.kind] ?? finding.kind.replace("_", " ")}</span>${" "}
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
      } <a data-row href=${href("/search", { q: finding.query, ...exactly(timeOf(finding, window)) })}>Its events</a>
        ${" "}<a href=${href("/i", exactly(timeOf(finding, window)))}>Zoom in</a>
        ${finding.worker && html` <a href=${workerAddress(finding.worker)}>Worker</a>`}</p>${children}</div>`;
}

/** Where findings begin, as marks on the lanes. @param {Outlier[]} findings */
export const marksOf = (findings) =>
  findings.map((one) => ({
    at: msOf(one.began[0]),
    kind: /** @type {"began"} */ ("began"),
    words: `began: ${words.short(one.sentence, 160)}`,
    worker: one.worker,
  }));

/** @param {Interval} times @param {Zone} zone */
export function between(times, zone) {
  const [from, to] = times.map(msOf);
  return from === to ? stamp(from, zone, from) : range(from, to, zone);
}

/** The time of a finding with a minute beside it. @param {Outlier} finding @param {{until: number}} window */
const timeOf = (finding, window) => ({
  since: msOf(finding.began[0]) - BESIDE,
  until: finding.ended ? msOf(finding.ended[1]) + BESIDE : window.until,
});

/** Two numbers as bars of one scale. @param {{before: number, after: number, said?: string}} given */
export function Bars({ before, after, said = `before ${words.share(before, 1)}, then ${words.share(after, 1)}` }) {
  const most = Math.max(before, after, 1e-9);
  return html`<svg class="two" viewBox="0 0 100 13" preserveAspectRatio="none" role="img" aria-label=${said}>
      <rect class="track" width="100" height="13" />
      <rect class="fill-plain" width=${(100 * before) / most} height="5" />
      <rect class="fill-5" y="7" width=${(100 * after) / most} height="6" /></svg>`;
}

/** One that was not compared. @param {{finding: Finding, window: Window, zone: Zone, alone: boolean}} given */
function Row({ finding, window, zone, alone }) {
  const [sign, events] = KINDS[finding.kind] ?? ["!", "Events"];
  return html`<li class=${finding.severity === "critical" ? "bad" : "warn"}>
      <span class="sign" aria-hidden="true">${sign}</span>
      <div><p>${finding.since_ns !== null && html`<${When} at=${rfc(finding.since_ns / 1e6)} zone=${zone} /> `}
          <${Text} value=${finding.sentence} most=${800} />
          ${finding.worker && html` <a href=${workerAddress(finding.worker)}>Worker</a>`}
          ${
            finding.kql &&
            events &&
            html` <a href=${href("/search", { q: finding.kql, ...exactly(window) })}>${events}
              </a>`
          }
          ${alone && html` <span class="soft">(not compared)</span>`}</p>
        <${Interrupted} finding=${finding} /></div></li>`;
}

/** The requests that a crash interrupted. @param {{finding: Finding | undefined}} given */
function Interrupted({ finding }) {
  const requests = finding?.fields["logship.in_flight.requests"],
    ids = finding?.fields["logship.in_flight.ids"] ?? [];
  if (!finding || !Array.isArray(requests) || !requests.length) return null;
  const more = finding.evidence.in_flight - Math.min(SHOWN_REQUESTS, requests.length);
  return html`<p class="pills">${requests
    .slice(0, SHOWN_REQUESTS)
    .map(
      (text, at) =>
        html`<a class="pill code" href=${requestAddress(ids[at] ?? "")}><${Text} value=${text} most=${60} /></a>`,
    )}${more > 0 && html`<a class="pill" href=${workerAddress(finding.worker)}>${more} more</a>`}</p>`;
}
