// What stands out in a window. The server judges and writes the sentences; the page adds times and links.
import { html } from "./html.js";
import { Problem, requestAddress, Text, When, workerAddress } from "./parts.js";
import { exactly, href } from "./url.js";
import { rfc } from "./time.js";

/**
 * @typedef {{kind: string, severity: string, sentence: string, kql: string, service: string, worker: string, since_ns:
 *   number | null, until_ns: number | null, fields: Record<string, string | string[]>, evidence: Record<string,
 *   number>}} Finding
 */
/** @typedef {{findings: Finding[], balances: any[], not_judged: string[], sentence: string}} Standout */

const SHOWN_REQUESTS = 4;
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
  "events-dropped": ["!", "Heartbeats that count them"],
  "store-damaged": ["!", ""],
};

/**
 * @param {{standout: Standout | null, error: any, window: import("./url.js").Window, zone: import("./time.js").Zone}}
 *   given
 */
export function Findings({ standout, error, window, zone }) {
  const body = !standout
    ? error
      ? html`<${Problem} error=${error} />`
      : html`<p class="soft">…</p>`
    : html`${
        standout.findings.length > 0 &&
        html`<ul>
            ${standout.findings.map((finding) => html`<${Row} finding=${finding} window=${window} zone=${zone} />`)}
          </ul>`
      }
      ${standout.findings.length === 0 && html`<p class="calm"><${Text} value=${standout.sentence} /></p>`}
      ${standout.not_judged.map((sentence) => html`<p class="soft"><${Text} value=${sentence} /></p>`)}`;
  return html`<section class="stands" aria-label="What stands out"><h2>What stands out</h2>
      <a class="more" href=${href("/i", exactly(window))}>Compare with the time before</a>${body}</section>`;
}

/** @param {{finding: Finding, window: import("./url.js").Window, zone: import("./time.js").Zone}} given */
function Row({ finding, window, zone }) {
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
          }</p>
        <${Interrupted} finding=${finding} /></div></li>`;
}

/** The requests that a crash interrupted. @param {{finding: Finding}} given */
function Interrupted({ finding }) {
  const requests = finding.fields["logship.in_flight.requests"],
    ids = finding.fields["logship.in_flight.ids"] ?? [];
  if (!Array.isArray(requests) || !requests.length) return null;
  const more = finding.evidence.in_flight - Math.min(SHOWN_REQUESTS, requests.length);
  return html`<p class="pills">${requests
    .slice(0, SHOWN_REQUESTS)
    .map(
      (text, at) =>
        html`<a class="pill code" href=${requestAddress(ids[at] ?? "")}><${Text} value=${text} most=${60} /></a>`,
    )}${more > 0 && html`<a class="pill" href=${workerAddress(finding.worker)}>${more} more</a>`}</p>`;
}
