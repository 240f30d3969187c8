// A list of events with details and actions, for mouse and keyboard.
import { html } from "./html.js";
import { Component } from "./vendor/preact.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { Copy, requestAddress, Status, Text, When, workerAddress } from "./parts.js";
import { go, here, href, patch, usePlace, windowOf, zoneOf } from "./url.js";
import { isCommand } from "./keys.js";
import { is, narrowed } from "./kql.js";
import { DAY, msOf, nsBetween, stamp, zoneWords } from "./time.js";
import * as words from "./words.js";

/** @typedef {import("./words.js").Event} Event */

const TEXT_SHOWN = 2000;

/** All fields by name, labels as `labels.plan`, sorted. @param {Event} event @returns {[string, unknown][]} */
export function flat(event) {
  /** @type {[string, unknown][]} */
  const found = [];
  for (const [name, value] of Object.entries(event)) {
    if ((name === "labels" || name === "numeric_labels") && value && typeof value === "object") {
      for (const [key, held] of Object.entries(value)) found.push([`${name}.${key}`, held]);
    } else found.push([name, value]);
  }
  return found.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The value of a field or a label. @param {Event} event @param {string} name */
export function valueOf(event, name) {
  const map = /^(labels|numeric_labels)\.(.*)$/s.exec(name);
  return map && event[map[1]] ? event[map[1]][map[2]] : event[name];
}

/**
 * Search for events with or without a value. In the search view the condition is added to the query.
 * @param {string} name
 * @param {unknown} value
 * @param {boolean} wanted
 */
export function filter(name, value, wanted) {
  const condition = is(name, value);
  const { path, params } = here();
  if (path === "/search" || path === "/tail") patch({ q: narrowed(params.q ?? "", condition, wanted), event: null });
  else go(href("/search", { q: narrowed("", condition, wanted) }));
}

/**
 * @typedef {{event: Event, before: Event | null, open: boolean, focused: boolean, chosen: string[], zone:
 *   import("./time.js").Zone, onToggle: (id: string) => void, onFocus: (id: string) => void}} RowGiven
 */

/** One event. It is drawn again only when its properties change.
 * @extends {Component<RowGiven>} */
export class Row extends Component {
  /** @param {RowGiven} next */
  shouldComponentUpdate(next) {
    const now = this.props;
    return (
      next.open !== now.open ||
      next.focused !== now.focused ||
      next.zone !== now.zone ||
      next.event !== now.event ||
      next.chosen !== now.chosen ||
      next.before !== now.before
    );
  }

  render() {
    const { event, before, open, focused, chosen, zone, onToggle, onFocus } = this.props;
    const id = event["event.id"] ?? event["@timestamp"];
    const delta = before ? nsBetween(before["@timestamp"], event["@timestamp"]) : null;
    const duration = event["event.duration"];
    return html`<li class=${`event ${words.gravity(event)} ${open ? "open" : ""}`}>
        <div class="row" role="button" data-event=${id} tabindex=${focused ? 0 : -1} aria-expanded=${open}
          onClick=${() => {
            if (!String(getSelection())) onToggle(id);
          }} onFocus=${() => onFocus(id)}
          onKeyDown=${(/** @type {KeyboardEvent} */ e) => {
            if (e.key === "Enter" || e.key === " ") {
              e.preventDefault();
              e.stopPropagation();
              onToggle(id);
            }
          }}>
          <span class="c-time"><${When} at=${event["@timestamp"]} zone=${zone} /></span>
          <span class="c-delta n">${delta === null ? "" : words.since(delta)}</span>
          <span class="c-worker">${words.workerName(event)}</span><span class="c-status"><${Status} event=${event} />
          </span>
          <span class="c-took n">${typeof duration === "number" ? words.took(duration) : ""}</span>
          <span class="c-message">
            ${
              event["error.type"] &&
              html`<span class="error-type">
                  <${Text} value=${String(event["error.type"]).split(".").pop()} most=${60} /></span> `
            }
            <${Text} value=${event.message ?? event["error.message"] ?? ""} /></span>
          ${chosen.map((name) => {
            const value = valueOf(event, name);
            return html`<span class="c-chosen">
                ${
                  value === undefined
                    ? ""
                    : html`<${Text}
                        value=${typeof value === "number" ? words.inUnit(name, value) : value} most=${120} />`
                }</span>`;
          })}
        </div>
        ${open && html`<${Details} event=${event} />`}
      </li>`;
  }
}

/** All fields of an event, and its actions. @param {{event: Event, plain?: boolean}} given */
export function Details({ event, plain = false }) {
  const zone = zoneOf(usePlace().params);
  const id = event["event.id"],
    node = event["service.node.name"],
    request = event["http.request.id"];
  const ms = msOf(event["@timestamp"]);
  const trace = event["error.stack_trace"];
  return html`<div class="details">
      <p class="actions">
        ${
          request &&
          here().path !== `/r/${request}` &&
          html`<a class="button" href=${requestAddress(request)}
              aria-keyshortcuts="r">Open request</a>`
        }
        ${
          node &&
          html`<a class="button" href=${workerAddress(node)} aria-keyshortcuts="w">
              Worker ${words.workerName(event)}</a>`
        }
        ${
          id &&
          !plain &&
          html`<a class="button" href=${href(`/e/${id}`)} aria-keyshortcuts="c">Context, this worker</a>
            <a class="button" href=${href(`/e/${id}`, { workers: "all" })} aria-keyshortcuts="C">Context, all workers
            </a>`
        }
        ${id && html`<${Copy} text=${() => `${location.origin}/e/${encodeURIComponent(id)}`}>Copy link</${Copy}>`}
        <${Copy} text=${() => JSON.stringify(event, null, 2)}>Copy as JSON</${Copy}></p>
      ${
        !Number.isNaN(ms) &&
        html`<p class="soft">
            ${stamp(ms, "utc")} UTC · ${stamp(ms, "local")} ${zoneWords(ms, "local")}${zone === "utc" ? "" : " (shown)"}
          </p>`
      }
      ${
        trace &&
        html`<details class="trace">
            <summary>Stack trace: <${Text} value=${event["error.type"] ?? ""} most=${100} /></summary>
            <pre tabindex="0"><bdi>${words.visible(trace, true)}</bdi></pre></details>`
      }
      <table class="fields"><caption class="away">Fields of the event</caption>
        <thead class="away"><tr><th scope="col">Field</th><th scope="col">Value</th><th scope="col">Actions</th></tr>
        </thead>
        <tbody>${flat(event)
          .filter(([name]) => name !== "error.stack_trace")
          .map(([name, value]) => html`<${FieldRow} key=${name} name=${name} value=${value} />`)}</tbody></table>
    </div>`;
}

/** @param {{name: string, value: unknown}} given */
function FieldRow({ name, value }) {
  const [whole, setWhole] = useState(false);
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  const shown = words.visible(whole ? text : text.slice(0, TEXT_SHOWN), true);
  const said = words.short(name, 100);
  const values = Array.isArray(value) ? value : [value];
  const able = values.length > 0 && String(values[0]).length < 1000;
  const inUnit = typeof value === "number" && /(_ns|\.duration|\.bytes)$/.test(name) ? words.inUnit(name, value) : "";
  return html`<tr><th scope="row"><bdi>${said}</bdi></th>
      <td><bdi class="value">${shown}</bdi>${inUnit && html` <span class="soft">${inUnit}</span>`}
        ${
          text.length > TEXT_SHOWN &&
          html` <button type="button" class="quiet" onClick=${() => setWhole(!whole)}>
              ${whole ? "show less" : `show all ${words.count(text.length)} characters`}</button>`
        }</td>
      <td class="do">${
        able &&
        html`<button type="button" class="icon" aria-label=${`Only with this ${said}`} title="Only with this"
            onClick=${() => filter(name, values[0], true)}>+</button>
          <button type="button" class="icon" aria-label=${`All but this ${said}`} title="All but this"
            onClick=${() => filter(name, values[0], false)}>−</button>`
      }
        <${Copy} text=${() => text} label=${`Copy ${said}`}>Copy</${Copy}></td></tr>`;
}

/** The list. j and k move, Enter opens; the open event is part of the address.
 * @param {{events: Event[], chosen?: string[], onChoose?: (name: string) => void, label: string, delta?: boolean}}
 * given */
export function List({ events, chosen = NONE, label, delta = true, onChoose }) {
  const { params } = usePlace();
  const zone = zoneOf(params);
  const box = useRef(/** @type {any} */ (null));
  const [focused, setFocused] = useState("");
  const ids = events.map((one) => one["event.id"] ?? one["@timestamp"]);
  const stop = ids.includes(focused) ? focused : ids.includes(params.event) ? params.event : ids[0];
  const toggle = (/** @type {string} */ id) => patch({ event: here().params.event === id ? null : id }, true);
  useListKeys(box, ids, stop, setFocused, events);
  const today =
    windowOf(params, Date.now()).span <= DAY &&
    events.every((one) => stamp(msOf(one["@timestamp"]), zone, Date.now()).length < 13);
  return html`<div class=${`list ${today ? "" : "dated"}`} ref=${box}>
      <div class="row heads" aria-hidden="true"><span class="c-time">Time ${zoneWords(Date.now(), zone)}</span>
        <span class="c-delta n">${delta ? "since previous" : ""}</span><span class="c-worker">Worker</span>
        <span class="c-status">Status</span><span class="c-took n">Duration</span><span class="c-message">Message</span>
        ${chosen.map((name) => html`<span class="c-chosen">${words.short(name, 40)}</span>`)}</div>
      ${
        chosen.length > 0 &&
        onChoose &&
        html`<p class="chosen-names"><span class="soft">Columns:
            </span> ${chosen.map(
              (name) => html`<button type="button" class="pill"
                  aria-label=${`Remove the column ${words.short(name, 60)}`} onClick=${() => onChoose(name)}>
                  ${words.short(name, 60)} ×</button>`,
            )}</p>`
      }
      <ol class="events" aria-label=${label}>
        ${events.map(
          (event, at) => html`<${Row} key=${ids[at]} event=${event}
              before=${delta ? (events[at + 1] ?? null) : null} open=${params.event === ids[at]}
              focused=${stop === ids[at]}
              chosen=${chosen} zone=${zone} onToggle=${toggle} onFocus=${setFocused} />`,
        )}</ol></div>`;
}

/** @type {string[]} */
const NONE = [];

/**
 * @param {import("./vendor/hooks.js").Ref<any>} box
 * @param {string[]} ids
 * @param {string} stop
 * @param {(id: string) => void} setFocused
 * @param {Event[]} events
 */
export function useListKeys(box, ids, stop, setFocused, events) {
  useEffect(() => {
    const key = (/** @type {KeyboardEvent} */ event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (!isCommand(event) || target.matches("input, textarea, select, [role=slider]")) return;
      const now = ids.indexOf(stop),
        inside = box.current?.contains(target);
      if (event.key === "j" || event.key === "k") {
        const next = ids[Math.max(0, Math.min(ids.length - 1, inside ? now + (event.key === "j" ? 1 : -1) : now))];
        if (next === undefined) return;
        event.preventDefault();
        setFocused(next);
        const line = /** @type {HTMLElement | null} */ (
          box.current?.querySelector(`[data-event="${CSS.escape(next)}"]`)
        );
        line?.focus({ preventScroll: true });
        line?.scrollIntoView({ block: "nearest" });
      } else if (event.key === "Escape" && here().params.event) patch({ event: null }, true);
      else if ("cCrw".includes(event.key)) {
        const one = events[ids.indexOf(inside ? stop : (here().params.event ?? ""))];
        if (!one) return;
        const to = {
          c: href(`/e/${one["event.id"]}`),
          C: href(`/e/${one["event.id"]}`, { workers: "all" }),
          r: one["http.request.id"] && requestAddress(one["http.request.id"]),
          w: one["service.node.name"] && workerAddress(one["service.node.name"]),
        }[event.key];
        if (to) {
          event.preventDefault();
          go(to);
        }
      }
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [ids.join(), stop]);
}
