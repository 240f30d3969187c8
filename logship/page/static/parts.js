// Components of several views: interactive charts, times, notices, tables.
import { html } from "./html.js";
import { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.js";
import * as charts from "./charts.js";
import { exactly, go, here, href, patch, usePlace, windowOf, zoneOf } from "./url.js";
import { DAY, full, msOf, range, spanOf, stamp, tick, zoneWords } from "./time.js";
import * as words from "./words.js";

/** @typedef {import("./time.js").Zone} Zone */
/** @typedef {import("./words.js").Event} Event */
/** @typedef {{since: number, until: number}} Span */

/** The width of an element, measured before the first paint. @param {import("./vendor/hooks.js").Ref<any>} ref */
export function useWidth(ref) {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const measure = () => setWidth(Math.floor(ref.current?.clientWidth ?? 0));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return width;
}

/** ms that clocks of the zone are ahead of UTC. @param {number} ms @param {Zone} zone */
export const ahead = (ms, zone) => (zone === "utc" ? 0 : -new Date(ms).getTimezoneOffset() * 60000);

/**
 * @typedef {object} PlotGiven
 * @property {string} label @property {Span} span @property {number} every @property {number} height
 * @property {(width: number, columns: ReturnType<typeof charts.columns>) => any} draw
 * @property {(bar: number) => string} speak what a bar says, after its time
 * @property {(span: Span) => void} [onOpen] @property {(span: Span) => void} [onBrush]
 * @property {(said: string) => void} [onPoint] what the bar under the pointer or the focus says; "" for none
 */

/** A chart over time as one Tab stop. ← → move between bars, with Shift they select several, Enter opens.
 * To a screen reader it is a slider whose value is the bar's sentence. @param {PlotGiven} given */
export function Plot({ label, span, every, height, draw, speak, onOpen, onBrush = brushed, onPoint = () => {} }) {
  const box = useRef(/** @type {any} */ (null));
  const width = useWidth(box);
  const zone = zoneOf(usePlace().params);
  const [at, setAt] = useState(/** @type {{bar: number, anchor: number} | null} */ (null));
  const pressed = useRef(false);
  const columns = charts.columns(span, every, Math.max(width, 1));
  const last = columns.bars - 1;
  const bounds = (/** @type {number} */ a, /** @type {number} */ b) => ({
    since: Math.max(span.since, columns.from(Math.min(a, b))),
    until: Math.min(span.until, columns.from(Math.max(a, b) + 1)),
  });
  const sentence = (/** @type {{bar: number, anchor: number}} */ one) => {
    const bar = Math.min(one.bar, last);
    const time = bounds(bar, Math.min(one.anchor, last));
    return `${range(time.since, time.until, zone)}: ${one.bar === one.anchor ? speak(bar) : "Enter zooms in"}`;
  };
  const put = (/** @type {{bar: number, anchor: number} | null} */ next) => {
    setAt(next);
    onPoint(next ? sentence(next) : "");
  };
  const use = (/** @type {{bar: number, anchor: number}} */ one) => {
    const time = bounds(one.bar, one.anchor);
    if (one.bar !== one.anchor) onBrush(time);
    else (onOpen ?? onBrush)(time);
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    const now = at ?? { bar: last, anchor: last };
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -columns.bars, End: columns.bars }[
      event.key
    ];
    if (step !== undefined && !event.ctrlKey && !event.altKey && !event.metaKey) {
      const bar = Math.max(0, Math.min(last, now.bar + (at || Math.abs(step) >= columns.bars ? step : 0)));
      put({ bar, anchor: event.shiftKey ? now.anchor : bar });
    } else if (event.key === "Enter") use(now);
    else if (event.key === "z" && at) onBrush(bounds(now.bar, now.anchor));
    else if (event.key === "x" && at) go(href("/i", exactly(bounds(now.bar, now.anchor))));
    else if (event.key === "Escape" && at) put(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const bar = (/** @type {PointerEvent} */ event) =>
    columns.at(event.clientX - box.current.getBoundingClientRect().left);
  const pointer = {
    onPointerDown: (/** @type {PointerEvent} */ event) => {
      if (event.button) return;
      pressed.current = true;
      box.current.setPointerCapture(event.pointerId);
      put({ bar: bar(event), anchor: bar(event) });
    },
    onPointerMove: (/** @type {PointerEvent} */ event) => {
      const now = bar(event);
      put({ bar: now, anchor: pressed.current && at ? at.anchor : now });
    },
    onPointerUp: (/** @type {PointerEvent} */ event) => {
      if (!pressed.current) return;
      pressed.current = false;
      use({ bar: bar(event), anchor: at?.anchor ?? bar(event) });
      put(null);
    },
    onPointerCancel: () => {
      pressed.current = false;
      put(null);
    },
    onPointerLeave: () => {
      if (!pressed.current && document.activeElement !== box.current) put(null);
    },
  };
  const shown = at ?? { bar: last, anchor: last };
  return html`<div class="plot" ref=${box} tabindex="0" role="slider"
      aria-label=${`${label}. Arrow keys move between bars, Enter opens`}
      aria-orientation="horizontal" aria-valuemin="1" aria-valuemax=${columns.bars}
      aria-valuenow=${Math.min(shown.bar, last) + 1} aria-valuetext=${sentence(shown)}
      onKeyDown=${key} onBlur=${() => put(null)} ...${pointer}>
      <svg width=${width} height=${height} aria-hidden="true" focusable="false">
        ${width > 0 && draw(width, columns)}
        ${
          at &&
          charts.chosen({
            from: Math.min(at.bar, at.anchor, last),
            to: Math.min(Math.max(at.bar, at.anchor), last),
            width,
            height,
            bars: columns.bars,
            brush: at.bar !== at.anchor,
          })
        }
      </svg></div>`;
}

const brushed = (/** @type {Span} */ span) => patch(exactly(span));

/** The time axis below charts of the same width. @param {{span: Span, every: number}} given */
export function Axis({ span, every }) {
  const box = useRef(/** @type {any} */ (null));
  const width = useWidth(box);
  const zone = zoneOf(usePlace().params);
  const { x } = charts.columns(span, every, Math.max(width, 1));
  return html`<div class="axis-box" ref=${box} aria-hidden="true"><svg width=${width} height="18">
        ${
          width > 0 &&
          charts.axis({ span, width, x, words: (ms, step) => tick(ms, zone, step), offset: ahead(span.since, zone) })
        }</svg></div>`;
}

/** A chart with title, the values at the pointer, and a table of the same numbers.
 * @param {PlotGiven & {title: string, table: () => {heads: string[], rows: (string | number)[][]}, legend?: any, busy?:
 * boolean, children?: any}} given */
export function Chart(given) {
  const { title, table, legend, span, every, busy = false } = given;
  const [said, setSaid] = useState("");
  const [asTable, setAsTable] = useState(false);
  return html`<figure class="chart" aria-busy=${busy}>
      <figcaption><h2>${title}</h2>${legend}<span class="said">${said}</span>
        <button class="quiet" type="button" aria-pressed=${asTable} onClick=${() => setAsTable(!asTable)}>
          ${asTable ? "Show as chart" : "Show as table"}</button></figcaption>
      ${
        asTable
          ? html`<${Numbers} ...${table()} caption=${title} />`
          : html`<${Plot} ...${given} onPoint=${setSaid} />
            <${Axis} span=${span} every=${every} />`
      }
    </figure>`;
}

/**
 * A table of numbers; the first column names the row.
 * @param {{heads: string[], rows: any[][], caption: string}} given
 */
export function Numbers({ heads, rows, caption }) {
  return html`<div class="scroll numbers" tabindex="0" role="region" aria-label=${caption}>
      <table><caption class="away">${caption}</caption>
        <thead><tr>${heads.map((head, at) => html`<th scope="col" class=${at ? "n" : ""}>${head}</th>`)}</tr></thead>
        <tbody>${rows.map(
          (row) => html`<tr>
              ${row.map((cell, at) => (at ? html`<td class="n">${cell}</td>` : html`<th scope="row">${cell}</th>`))}
            </tr>`,
        )}
        </tbody></table></div>`;
}

export const CLASSES = [
  { key: "5", words: "failed" },
  { key: "4", words: "4xx" },
  { key: "3", words: "3xx" },
  { key: "2", words: "2xx" },
];

/** @param {{items: {key: string, words: string}[], line?: {name: string, words: string}[]}} given */
export function Legend({ items, line = [] }) {
  return html`<span class="legend">
      ${items.map(
        (one) => html`<span class="item">
            <svg width="12" height="12" aria-hidden="true">
              <rect class=${`fill-${one.key}`} width="12" height="12" rx="2" />
              <rect fill=${`url(#hatch-${one.key})`} width="12" height="12" /></svg>${one.words}</span>`,
      )}
      ${line.map(
        (one) => html`<span class="item">
            <svg width="14" height="12" aria-hidden="true"><g class=${`line line-${one.name}`}><path d="M0 6H14" /></g>
            </svg>
            ${one.words}</span>`,
      )}</span>`;
}

/** @param {{kind?: string, children?: any}} given */
export const Notice = ({ kind = "", children }) =>
  html`<div class=${`notice ${kind}`} role=${kind === "bad" ? "alert" : undefined}>${children}</div>`;

/** An error of the API. @param {{error: import("./api.js").AskError | null}} given */
export function Problem({ error }) {
  if (!error) return null;
  return html`<${Notice} kind="bad"><p>${words.visible(error.message)}</p>
      ${(error.status === 0 || error.status === 503) && html`<p class="soft">Retrying every three seconds.</p>`}
      ${error.status === 401 && html`<p class="soft">Reload the page and enter the token as the password.</p>`}
    </${Notice}>`;
}

/** The first steps, shown while there are no events. */
export const Begin = () => html`<div class="begin"><p>To see your service here, start it through logship:</p>
    <pre tabindex="0">logship run uvicorn shop:app --workers 4</pre>
    <p>or add this as the first line of your application:</p><pre tabindex="0">import logship.auto</pre>
    <p>Events are sent to 127.0.0.1:24224; <code>LOGSHIP_AGENT</code> changes that.</p>
    <p>If no events arrive, run <code>logship doctor</code>.</p></div>`;

const WIDER = ["1h", "24h", "7d", "30d", "365d"];
/**
 * There is nothing in the time range, with links to longer ones.
 * @param {{what: string, window: import("./url.js").Window, children?: any}} given
 */
export function Nothing({ what, window, children }) {
  const wider = { since: null, until: null };
  const spans = WIDER.filter((last) => (spanOf(last) ?? 0) > window.span * 1.1);
  return html`<${Notice}>
      <p><strong>${what}
        </strong> between ${full(
          window.since,
          zoneOf(here().params),
        )} and ${full(window.until, zoneOf(here().params))} ${zoneWords(window.since, zoneOf(here().params))}.</p>
      ${
        spans.length > 0 &&
        html`<p>
            Longer time range: ${spans.map(
              (last) => html`<a class="pill" href=${href(here().path, { ...here().params, ...wider, last })}>
                  last ${last}</a>`,
            )}</p>`
      }${children}</${Notice}>`;
}

/** The time of an event; its title has the other zone and the nanoseconds.
 * @param {{at: string, zone: Zone, now?: number}} given */
export function When({ at, zone, now = Date.now() }) {
  const ms = msOf(at);
  if (Number.isNaN(ms)) return html`<time>${words.visible(at)}</time>`;
  // With the date if the time range spans days.
  const today = windowOf(here().params, now).span > DAY ? undefined : now;
  const other = zone === "utc" ? "local" : "utc";
  return html`<time dateTime=${at} title=${`${at}\n${stamp(ms, other)} ${zoneWords(ms, other)}`}>
      ${stamp(ms, zone, today)}</time>`;
}

/** @param {{event: Event}} given */
export function Status({ event }) {
  const kind = words.statusClass(event);
  if (!kind)
    return event["log.level"]
      ? html`<span class=${`level level-${words.gravity(event) || "plain"}`}>${words.short(event["log.level"], 8)}
        </span>`
      : null;
  if (kind === "x") return html`<span class="status status-5" title="failed without a status">fail</span>`;
  return html`<span class=${`status status-${kind}`}>${event["http.response.status_code"]}</span>`;
}

/** Text of an event: never markup, isolated in its direction. @param {{value: unknown, most?: number}} given */
export const Text = ({ value, most = 400 }) => html`<bdi>${words.short(value, most)}</bdi>`;

/**
 * A button that copies a text and confirms it.
 * @param {{text: () => string | Promise<string>, children?: any, label?: string, kind?: string}} given
 */
export function Copy({ text, children, label, kind = "quiet" }) {
  const [done, setDone] = useState("");
  useEffect(() => {
    if (!done) return undefined;
    const timer = setTimeout(() => setDone(""), 1600);
    return () => clearTimeout(timer);
  }, [done]);
  return html`<button type="button" class=${kind} aria-label=${label} onClick=${(/** @type {Event} */ event) => {
    event.stopPropagation();
    Promise.resolve(text())
      .then(copy)
      .then(setDone, (error) => setDone(words.short(error.message, 60)));
  }}>${done || children}</button>`;
}

/** @param {string} text @returns {Promise<string>} what to say about it */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return "copied";
  } catch {
    // Without a secure context there is no clipboard API; the old command needs a selection.
    const box = document.createElement("textarea");
    box.value = text;
    box.className = "away";
    document.body.append(box);
    box.select();
    const done = document.execCommand("copy");
    box.remove();
    return done ? "copied" : "copying is not allowed";
  }
}

/** The title of the document, for the tab and for screen readers. @param {string} title */
export function useTitle(title) {
  useEffect(() => {
    document.title = `${words.short(title, 80)} – logship`;
  }, [title]);
}

/** @param {string} node */
export const workerAddress = (node) => href(`/w/${node}`);
/** @param {string} id */
export const requestAddress = (id) => href(`/r/${id}`);
