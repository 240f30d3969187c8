// Tail: new events as they arrive. It follows the end, pauses while the reader scrolls, selects or pauses it, and
// counts the waiting events. After a disconnect it resumes where it was, without duplicates.
import { html } from "./html.js";
import { Component } from "./vendor/preact.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { address } from "./api.js";
import { Box } from "./box.js";
import { isCommand } from "./keys.js";
import { Row } from "./list.js";
import { Notice, useTitle } from "./parts.js";
import { go, here, href, patch, usePlace, zoneOf } from "./url.js";
import * as words from "./words.js";

// Older events are in the search.
const LINES_MOST = 2000;
const BLOCK = 100;
// Waiting events are kept as text: 40,000 of one kilobyte are 40 MB.
const WAITING_MOST = 40_000;
const SEEN_MOST = 20_000;
const FLUSH_MS = 200;
/** @type {string[]} */
const NO_COLUMNS = [];

/** @typedef {import("./words.js").Event} Event */

/**
 * Events in blocks, so that only the newest block is drawn again.
 * @extends {Component<{events: Event[], before: Event | null, open: string, focused: string, zone: any, onToggle: any,
 *   onFocus: any}>}
 */
class Block extends Component {
  /** @param {any} next */
  shouldComponentUpdate(next) {
    const now = this.props,
      has = (/** @type {string} */ id) => now.events.some((one) => one["event.id"] === id);
    return (
      next.events !== now.events ||
      next.zone !== now.zone ||
      (next.open !== now.open && (has(next.open) || has(now.open))) ||
      (next.focused !== now.focused && (has(next.focused) || has(now.focused)))
    );
  }

  render() {
    const { events, before, open, focused, zone, onToggle, onFocus } = this.props;
    return events.map(
      (event, at) =>
        html`<${Row} key=${event["event.id"]} event=${event} before=${at ? events[at - 1] : before}
            open=${open === event["event.id"]} focused=${focused === event["event.id"]} chosen=${NO_COLUMNS}
            zone=${zone}
            onToggle=${onToggle} onFocus=${onFocus} />`,
    );
  }
}

export function View() {
  const { params } = usePlace();
  const q = params.q ?? "",
    zone = zoneOf(params);
  useTitle(q ? `${q} – Tail` : "Tail");
  const box = useRef(/** @type {any} */ (null));
  const [blocks, setBlocks] = useState(/** @type {Event[][]} */ ([]));
  const [waiting, setWaiting] = useState(0);
  const [paused, setPaused] = useState(false);
  const [open, setOpen] = useState("");
  const [focused, setFocused] = useState("");
  const [line, setLine] = useState("connecting");
  const [error, setError] = useState(/** @type {any} */ (null));
  const state = useRef(
    /** @type {{queue: string[], seen: Set<string>, hold: boolean, paused: boolean, received: number, let: number, last:
     * string}} */ ({
      queue: [],
      seen: new Set(),
      hold: false,
      paused: false,
      received: 0,
      let: 0,
      last: "",
    }),
  ).current;
  state.paused = paused;
  const held = () =>
    state.paused || state.hold || Boolean(String(getSelection()) && box.current?.contains(getSelection()?.anchorNode));
  const flush = (/** @type {boolean} */ force) => {
    if (!state.queue.length || (!force && held())) {
      setWaiting(state.queue.length);
      return;
    }
    const fresh = state.queue
      .splice(0)
      .slice(-LINES_MOST)
      .map((one) => JSON.parse(one));
    setWaiting(0);
    setBlocks((old) => {
      const next = old.slice();
      for (const event of fresh) {
        const last = next[next.length - 1];
        if (last && last.length < BLOCK) next[next.length - 1] = [...last, event];
        else next.push([event]);
      }
      return next.slice(-Math.ceil(LINES_MOST / BLOCK));
    });
  };
  useEffect(() => {
    Object.assign(state, { queue: [], seen: new Set(), received: 0, let: 0, last: "" });
    setBlocks([]);
    setWaiting(0);
    setError(null);
    setLine("connecting");
    /** @type {EventSource | null} */
    let source = null;
    let again = 0;
    const take = (/** @type {MessageEvent} */ message) => {
      if (message.lastEventId) state.last = message.lastEventId;
      const id = /"event\.id":"([^"\\]{1,80})"/.exec(message.data)?.[1];
      if (id) {
        // After a disconnect within a batch the batch is sent again.
        if (state.seen.has(id)) return;
        state.seen.add(id);
        if (state.seen.size > SEEN_MOST)
          for (const old of state.seen) {
            state.seen.delete(old);
            if (state.seen.size <= SEEN_MOST / 2) break;
          }
      }
      state.received += 1;
      state.queue.push(message.data);
      if (state.queue.length > WAITING_MOST) {
        state.queue.splice(0, 1000);
        state.let += 1000;
      }
    };
    const connect = () => {
      source = new EventSource(address("tail", { q, after: state.last || null }));
      source.onopen = () => {
        setLine("following");
        setError(null);
      };
      source.onmessage = take;
      source.addEventListener("skipped", () => setLine("the store was emptied or replaced: following from now on"));
      source.onerror = async (/** @type {any} */ event) => {
        if (event.data) {
          setLine(JSON.parse(event.data).error);
          return;
        }
        setLine("disconnected, retrying");
        if (source?.readyState !== EventSource.CLOSED) return;
        // The browser stops after a response that is not a stream: find the reason.
        const answer = await fetch(address("count", { q }), { credentials: "same-origin" }).catch(() => null);
        const result = answer && answer.status === 400 ? await answer.json() : null;
        if (result) {
          setError({ status: 400, message: result.error, at: result.at ?? null });
          setLine("invalid query");
          return;
        }
        again = setTimeout(connect, 2000);
      };
    };
    connect();
    const timer = setInterval(() => flush(false), FLUSH_MS);
    return () => {
      source?.close();
      clearTimeout(again);
      clearInterval(timer);
    };
  }, [q]);
  useEffect(() => {
    // After new events: scroll to the end, if the reader was there.
    if (!held() && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [blocks]);
  const scrolled = () => {
    const at = box.current;
    state.hold = at.scrollHeight - at.scrollTop - at.clientHeight > 40;
    if (!state.hold && state.queue.length && !state.paused) flush(false);
  };
  const follow = () => {
    setPaused(false);
    state.paused = false;
    state.hold = false;
    getSelection()?.removeAllRanges();
    flush(true);
    requestAnimationFrame(() => {
      if (box.current) box.current.scrollTop = box.current.scrollHeight;
    });
  };
  const pause = () => {
    if (state.paused) follow();
    else setPaused(true);
  };
  const toggle = (/** @type {string} */ id) => {
    setOpen((now) => (now === id ? "" : id));
    state.hold = true;
  };
  useEffect(() => {
    const key = (/** @type {KeyboardEvent} */ event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (!isCommand(event) || target.matches("input, textarea, select, button, summary, a")) return;
      if (event.key === " ") {
        event.preventDefault();
        pause();
      }
      if (event.key === "G" || (event.key === "End" && !event.shiftKey)) {
        event.preventDefault();
        follow();
      }
      if (event.key === "j" || event.key === "k") {
        const rows = /** @type {HTMLElement[]} */ ([...box.current.querySelectorAll("[data-event]")]);
        const now = rows.findIndex((one) => one.contains(target));
        const next =
          rows[now < 0 ? rows.length - 1 : Math.max(0, Math.min(rows.length - 1, now + (event.key === "j" ? 1 : -1)))];
        if (!next) return;
        event.preventDefault();
        state.hold = true;
        setFocused(next.getAttribute("data-event") ?? "");
        next.focus({ preventScroll: true });
        next.scrollIntoView({ block: "nearest" });
      }
      const id = target.closest?.("[data-event]")?.getAttribute("data-event");
      if (id && "cC".includes(event.key)) {
        event.preventDefault();
        go(href(`/e/${id}`, event.key === "C" ? { workers: "all" } : {}));
      }
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  const lines = blocks.reduce((sum, one) => sum + one.length, 0);
  const stop = focused || blocks[blocks.length - 1]?.[blocks[blocks.length - 1].length - 1]?.["event.id"] || "";
  const now = Date.now();
  return html`<div class="tail"><h1 class="away">Tail</h1>
      <${Box} q=${q} window=${{ since: now - 900000, until: now }} error=${error} verb="Filter"
        onAsk=${(/** @type {string} */ next) => patch({ q: next })}>
        <button type="button" class="button" aria-pressed=${paused} aria-keyshortcuts="Space" onClick=${pause}>
          ${paused ? "Resume" : "Pause"}</button>
        <a class="button" href=${href("/search", { q, ...(here().params.last ? {} : { last: "15m" }) })}>Search</a>
      </${Box}>
      <p class="summary" role="status">
        <span class=${`dot ${line === "following" && !paused ? "good" : "warn"}`} aria-hidden="true">
        </span> ${paused ? "paused" : words.short(line, 200)}, <span data-received=${state.received}>
          ${words.count(state.received)} received</span>
        ${
          lines >= LINES_MOST
            ? html`, showing the newest ${words.count(lines)}; <a href=${href("/search", { q })}>
                search for all</a>`
            : ""
        }
        ${
          state.let
            ? html`, ${words.count(state.let)} older ones are only in <a href=${href("/search", { q })}>
                search</a>`
            : ""
        }</p>
      <div class="tail-box list" ref=${box} onScroll=${scrolled} tabindex="0" role="log" aria-live="off"
        aria-label="New events">
        ${
          lines
            ? html`<ol class="events">
                ${blocks.map(
                  (events, at) => html`<${Block} key=${events[0]["event.id"]} events=${events}
                      before=${at ? blocks[at - 1][blocks[at - 1].length - 1] : null} open=${open} focused=${stop}
                      zone=${zone}
                      onToggle=${toggle} onFocus=${setFocused} />`,
                )}</ol>`
            : html`<${Notice}><p>${q ? "No matching events" : "No events"} since this page was opened.
                </p><p>New events appear within a second. <a href=${href("/search", { q })}>Show earlier events</a></p>
              </${Notice}>`
        }</div>
      ${
        waiting > 0 &&
        html`<button type="button" class="news primary" onClick=${follow}>${words.count(waiting)} new ↓
          </button>`
      }</div>`;
}
