// One event by its id: all its fields, and the events around it on its worker or on all workers.
import { html } from "./html.js";
import { useAsk } from "./api.js";
import { Notice, Problem, Text, useTitle, When } from "./parts.js";
import { Details, List } from "./list.js";
import { inPath } from "./request.js";
import { href, patch, usePlace, zoneOf } from "./url.js";
import * as words from "./words.js";

/** @param {{id: string}} given */
export function View({ id }) {
  const { params } = usePlace();
  const everybody = params.workers === "all",
    around = Math.min(500, Number(params.around) || 10);
  const found = useAsk(`events/${inPath(id)}`, {}, false);
  const event =
    (found.data?.records ?? []).find((/** @type {any} */ one) => one["event.id"] === id) ?? found.data?.records?.[0];
  const context = useAsk(event ? "context" : null, {
    id: event?.["event.id"],
    before_events: around,
    after_events: around,
    workers: everybody ? "all" : null,
  });
  useTitle(event ? (event.message ?? id) : `Event ${id}`);
  if (found.error?.status === 404)
    return html`<h1>Event</h1>
      <${Notice}><p>No event has the id <code>${words.short(id, 100)}</code>.</p>
        <p>It may be older than the retention of the store. <a href=${href("/search")}>Search</a></p></${Notice}>`;
  if (found.error) return html`<${Problem} error=${found.error} />`;
  if (!event) return html`<div class="waiting" role="status">Loading…</div>`;
  const name = words.workerName(event) || "this worker";
  return html`<div class="one-event">
      <header class="head"><h1><${Text} value=${event.message ?? id} most=${300} /></h1>
        <p class="facts"><${When} at=${event["@timestamp"]} zone=${zoneOf(params)} />
          <span class="tag">${words.workerName(event)}</span><code class="soft">${words.short(id, 80)}</code></p>
      </header>
      <section class="card"><${Details} event=${event} plain=${true} /></section>
      <section><header class="over"><h2>Context</h2><span class="splits" role="group" aria-label="Events of">
            <button type="button" class="quiet" aria-pressed=${!everybody} onClick=${() => patch({ workers: null })}>
              ${name}
            </button>
            <button type="button" class="quiet" aria-pressed=${everybody} onClick=${() => patch({ workers: "all" })}>
              all workers</button></span>
          <button type="button" class="quiet" onClick=${() => patch({ around: String(Math.min(500, around * 3)) })}
            disabled=${around >= 500}>More</button></header>
        ${
          context.error
            ? html`<${Problem} error=${context.error} />`
            : context.data
              ? html`<div class="context">
                  <${List} events=${[...context.data.records].reverse()} label="Events around this event" /></div>`
              : html`<p class="soft">…
                </p>`
        }</section></div>`;
}
