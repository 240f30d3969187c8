// The query box: KQL with completion of fields and values, and a pointer to the position of an error.
import { html } from "./html.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { ask, within } from "./api.js";
import { Text } from "./parts.js";
import { atCaret, is, literal } from "./kql.js";
import * as words from "./words.js";

const SHOWN = 12;
const KEPT_MS = 60_000;

/** @typedef {{name: string, type: string, events: number}} Field */
/** @typedef {{fields: Field[], short_names: Record<string, string>}} Names `short_names`: the full name of each. */
/** @typedef {{text: string, insert: string, events: number | null, type: string}} Offer */

/** @type {Promise<Names> | null} */
let names = null;

/** The fields that occur and their short names, requested once a minute at most. */
function known() {
  if (!names) {
    names = ask("fields");
    const forget = () => {
      names = null;
    };
    names.catch(forget);
    setTimeout(forget, KEPT_MS);
  }
  return names;
}

/** The fields that occur. */
export const fields = async () => (await known()).fields;

/**
 * Suggestions for the text at the caret.
 * @param {string} text
 * @param {number} caret
 * @param {{since: number, until: number}} window
 * @param {AbortSignal} signal
 * @returns {Promise<Offer[]>}
 */
export async function offers(text, caret, window, signal) {
  const now = atCaret(text, caret);
  if (now.kind === "value") return values(now.field, now.typed.toLowerCase(), window, signal);
  const before = text.slice(0, now.start).trim();
  const joins = now.typed === "" && /[\w")*]$/.test(before) && !/\b(and|or|not)$/i.test(before) ? ["and", "or"] : [];
  return [
    ...joins.map((word) => ({ text: word, insert: `${word} `, events: null, type: "" })),
    ...nameOffers(await known(), now.typed.toLowerCase()),
  ];
}

/**
 * Fields by their short and their full names: names that start with the text first, short names before full ones.
 * @param {Names} all
 * @param {string} typed
 * @returns {Offer[]}
 */
export function nameOffers(all, typed) {
  const byName = new Map(all.fields.map((field) => [field.name, field]));
  const short = Object.entries(all.short_names).flatMap(([name, full]) => {
    const field = byName.get(full);
    return field ? [{ name, type: full, events: field.events, rank: 1 }] : [];
  });
  const starts = (/** @type {{name: string}} */ field) => Number(field.name.toLowerCase().startsWith(typed));
  return [...short, ...all.fields.map((field) => ({ ...field, rank: 0 }))]
    .filter((field) => field.name.toLowerCase().includes(typed))
    .sort((a, b) => starts(b) - starts(a) || b.rank - a.rank || b.events - a.events)
    .slice(0, SHOWN)
    .map(({ name, type, events }) => ({ text: name, insert: `${literal(name)}: `, events, type }));
}

/**
 * The most frequent values of a field that contain the text.
 * @param {string} typedName a full or a short name
 * @param {string} typed
 * @param {{since: number, until: number}} window
 * @param {AbortSignal} signal
 * @returns {Promise<Offer[]>}
 */
async function values(typedName, typed, window, signal) {
  const all = await known();
  const name = all.short_names[typedName] ?? typedName;
  const field = all.fields.find((one) => one.name === name);
  if (!field || field.type === "text" || field.type === "date") return [];
  const top = await ask("top", { field: name, limit: 50, q: `${literal(name)}: *`, ...within(window) }, signal);
  // A worker is written w2: with this short name the number alone would do as well.
  const shown = (/** @type {unknown} */ value) => (typedName === "worker" ? `w${value}` : String(value));
  return top.values
    .filter((/** @type {any} */ one) => shown(one.value).toLowerCase().includes(typed))
    .slice(0, SHOWN)
    .map((/** @type {any} */ one) => ({
      text: shown(one.value),
      insert: `${typedName === "worker" ? shown(one.value) : inserted(name, field.type, String(one.value))} `,
      events: one.events,
      type: "",
    }));
}

/** @param {string} field @param {string} type @param {string} text */
const inserted = (field, type, text) =>
  is(field, type === "integer" || type === "number" || type === "boolean" ? Number(text) : text).slice(
    literal(field).length + 2,
  );

/**
 * @param {{q: string, verb?: string, window: {since: number, until: number}, error?: import("./api.js").AskError |
 *   null, onAsk: (q: string) => void, children?: any}} given
 */
export function Box({ q, window, error = null, onAsk, children, verb = "Search" }) {
  const [text, setText] = useState(q);
  const [found, setFound] = useState(/** @type {Offer[]} */ ([]));
  const [at, setAt] = useState(-1);
  const input = useRef(/** @type {any} */ (null));
  const asked = useRef(/** @type {AbortController | null} */ (null));
  useEffect(() => setText(q), [q]);
  useEffect(() => () => asked.current?.abort(), []);
  useEffect(() => {
    if (error?.at !== null && error?.at !== undefined && document.activeElement === input.current)
      input.current.setSelectionRange(error.at, error.at + 1);
  }, [error]);
  const shut = () => {
    asked.current?.abort();
    setFound([]);
    setAt(-1);
  };
  const complete = () => {
    asked.current?.abort();
    const stop = new AbortController();
    asked.current = stop;
    setTimeout(() => {
      if (stop.signal.aborted || document.activeElement !== input.current) return;
      offers(input.current.value, input.current.selectionStart, window, stop.signal).then(
        (all) => {
          if (!stop.signal.aborted) {
            setFound(all);
            setAt(-1);
          }
        },
        () => {},
      );
    }, 80);
  };
  const take = (/** @type {Offer} */ offer) => {
    const caret = input.current.selectionStart,
      now = atCaret(text, caret);
    const start = now.kind === "field" ? now.start : now.start;
    const next = text.slice(0, start) + offer.insert + text.slice(caret).replace(/^"?\s*/, "");
    setText(next);
    input.current.value = next;
    const end = start + offer.insert.length;
    input.current.focus();
    input.current.setSelectionRange(end, end);
    complete();
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    if (found.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      setAt((at + (event.key === "ArrowDown" ? 1 : found.length + (at < 0 ? 0 : -1))) % found.length);
    } else if (found.length && (event.key === "Tab" || event.key === "Enter") && at >= 0) take(found[at]);
    else if (event.key === "Escape" && found.length) shut();
    else if (event.key === "ArrowDown" || (event.key === " " && event.ctrlKey)) complete();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const submit = (/** @type {any} */ event) => {
    event.preventDefault();
    shut();
    onAsk(text.trim());
  };
  const wrong = error && error.at !== null && error.status === 400;
  return html`<form class="question" role="search" onSubmit=${submit}>
      <div class="box">
        <input ref=${input} data-question name="q" type="text" value=${text} spellcheck=${false} autocomplete="off"
          autocapitalize="off" placeholder="status >= 500 and path: /orders*"
          role="combobox" aria-label="Query in KQL" aria-expanded=${found.length > 0} aria-controls="offers"
          aria-autocomplete="list" aria-activedescendant=${at >= 0 ? `offer-${at}` : undefined}
          aria-invalid=${Boolean(error)} aria-describedby=${error ? "question-error" : undefined}
          onInput=${(/** @type {any} */ event) => {
            setText(event.target.value);
            complete();
          }} onKeyDown=${key} onClick=${complete} onBlur=${() => setTimeout(shut, 150)} />
        <ul class="offers" id="offers" role="listbox" aria-label="Suggestions" hidden=${!found.length}>
          ${found.map(
            (
              one,
              n,
            ) => html`<li id=${`offer-${n}`} role="option" aria-selected=${n === at} class=${n === at ? "on" : ""}
                onPointerDown=${(/** @type {any} */ event) => {
                  event.preventDefault();
                  take(one);
                }}>
                <${Text} value=${one.text} most=${100} />
                <span class="soft">${one.type} ${one.events === null ? "" : words.count(one.events)}</span></li>`,
          )}</ul></div>
      <button type="submit" class="primary">${verb}</button>${children}
      ${
        error &&
        error.status === 400 &&
        html`<div class="wrong" id="question-error" role="alert">
            ${wrong && html`<pre aria-hidden="true">${pointed(q, /** @type {number} */ (error.at))}</pre>`}
            <p>${words.visible(error.message)}</p></div>`
      }
    </form>`;
}

/** The query with the wrong character marked. @param {string} q @param {number} at */
function pointed(q, at) {
  const from = Math.max(0, at - 60);
  return html`${from ? "…" : ""}${words.visible(q.slice(from, at))}<mark>${words.visible(q.slice(at, at + 1)) || " "}
    </mark>${words.visible(q.slice(at + 1, at + 60))}`;
}
