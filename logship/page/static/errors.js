// Exceptions in groups: those with the same class, raised by the same function of the application.
import { html } from "./html.js";
import { useAsk, within } from "./api.js";
import { Box } from "./box.js";
import { Copy, Nothing, Problem, Text, useTitle, When, workerAddress } from "./parts.js";
import { useRowKeys } from "./rows.js";
import { exactly, href, inMinutes, patch, usePlace, useWindow, zoneOf } from "./url.js";
import { all, is } from "./kql.js";
import { rfc } from "./time.js";
import * as words from "./words.js";

/**
 * @typedef {{grouping_key: string, type: string, culprit: string, message: string, events: number, service: string,
 *   workers: string[], routes: string[], versions: string[], first_seen_ns: number, last_seen_ns: number, new_since:
 *   string, example: string, kql: string}} Group
 */

const SHOWN_VALUES = 6;

export function View() {
  useTitle("Errors");
  useRowKeys();
  const { params } = usePlace();
  const q = params.q ?? "";
  const window = useWindow();
  const span = inMinutes(window);
  const { data, error, loading } = useAsk("errors", { q, ...within(span) });
  const groups = /** @type {Group[]} */ (data?.groups ?? []);
  return html`<h1 class="away">Errors</h1>
    <${Box} q=${q} window=${span} error=${error} verb="Group"
      onAsk=${(/** @type {string} */ next) => patch({ q: next })} />
    ${error && error.status !== 400 && html`<${Problem} error=${error} />`}
    ${
      data
        ? groups.length === 0
          ? html`<${Nothing} what="No exceptions" window=${window} />`
          : html`<section class="card" aria-busy=${loading}><h2>Exceptions in groups</h2>
              <p><${Text} value=${data.sentence} most=${600} /></p>
              <ol class="groups">${groups.map(
                (one) => html`<${Row} key=${one.grouping_key} one=${one} q=${q} span=${span} />`,
              )}</ol></section>`
        : !error && html`<div class="waiting" role="status">Grouping exceptions…</div>`
    }`;
}

/** @param {{one: Group, q: string, span: {since: number, until: number}}} given */
function Row({ one, q, span }) {
  const zone = zoneOf(usePlace().params);
  const events = all(q, one.kql);
  return html`<li>
      <a data-row href=${href("/search", { q: events, ...exactly(span) })}>
        ${one.new_since && html`<span class="tag bad">new since <${Text} value=${one.new_since} most=${40} /></span> `}
        <span class="error-type"><${Text} value=${one.type || "exception"} most=${120} /></span>${" "}
        ${one.culprit && html`in <code><${Text} value=${one.culprit} most=${160} /></code>`}</a>
      <p><${Text} value=${one.message} most=${400} /></p>
      <p class="facts soft"><strong>${words.plural(one.events, "event")}</strong>
        <span>first <${When} at=${rfc(one.first_seen_ns / 1e6)} zone=${zone} /></span>
        <span>last <${When} at=${rfc(one.last_seen_ns / 1e6)} zone=${zone} /></span>
        ${one.service && html`<span>service <${Text} value=${one.service} most=${40} /></span>`}
        ${
          one.versions.length > 0 &&
          html`<span>version ${one.versions.map((version) => words.short(version, 30)).join(", ")}
          </span>`
        }
        <${Copy} text=${() => one.kql}>Copy KQL</${Copy}></p>
      <p class="pills">
        ${one.routes.slice(0, SHOWN_VALUES).map(
          (route) =>
            html`<a class="pill code" href=${href("/search", {
              q: all(events, is("http.route", route)),
              ...exactly(span),
            })}><${Text} value=${route} most=${60} /></a>`,
        )}
        ${one.workers.slice(0, SHOWN_VALUES).map(
          (node) => html`<a class="pill" href=${workerAddress(node)}>
              <${Text} value=${node.split("/").pop()} most=${30} /></a>`,
        )}
        ${more(one)}</p>
      ${
        one.example &&
        html`<details class="trace"><summary>Stack trace of the newest</summary>
            <pre tabindex="0"><bdi>${words.visible(one.example, true)}</bdi></pre></details>`
      }</li>`;
}

/** How many routes and workers are not listed. @param {Group} one */
function more(one) {
  const left = [one.routes, one.workers].reduce((sum, values) => sum + Math.max(0, values.length - SHOWN_VALUES), 0);
  return left > 0 && html`<span class="soft">${words.count(left)} more</span>`;
}
