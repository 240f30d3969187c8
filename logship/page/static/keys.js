// The help on keyboard shortcuts.
import { html } from "./html.js";
import { useEffect, useRef } from "./vendor/hooks.js";

const KEYS = [
  [
    "Everywhere",
    [
      ["/", "focus the query"],
      ["1 2 3 4 5", "overview, search, tail, panels, incident"],
      ["6 7 0", "errors, patterns, delivery check"],
      ["[ ]", "earlier, later"],
      ["z Z", "zoom in, out"],
      ["Space", "pause, resume (overview, tail)"],
      ["u", "UTC or local time"],
      ["y", "copy a link with absolute times"],
      ["?", "show these keys"],
      ["Esc", "close"],
    ],
  ],
  [
    "In a chart",
    [
      ["← →", "previous, next bar"],
      ["Shift ← →", "select several bars"],
      ["Enter", "show the requests of the bar, or zoom into the selection"],
      ["z", "zoom into the bar"],
      ["x", "explain the bar or the selection: what differs from the time before"],
      ["Esc", "clear the selection"],
    ],
  ],
  [
    "In a list",
    [
      ["j k", "next, previous event"],
      ["Enter", "show or hide details"],
      ["c C", "context of the event: same worker, all workers"],
      ["r", "open its request"],
      ["w", "open its worker"],
      ["e", "export all matching events"],
    ],
  ],
  [
    "In incident, errors and patterns",
    [
      ["j k", "next, previous finding, error or pattern"],
      ["Enter", "show its events"],
      ["r", "download the report of the incident"],
    ],
  ],
];

/**
 * Whether a key event is a command of the page: not handled yet, without Ctrl, Meta or Alt, and with no open dialog.
 * @param {KeyboardEvent} event
 */
export function isCommand(event) {
  const shortcut = event.ctrlKey || event.metaKey || event.altKey;
  return !event.defaultPrevented && !shortcut && !document.querySelector("dialog[open]");
}

/** @param {{close: () => void}} given */
export function Keys({ close }) {
  const box = useRef(/** @type {any} */ (null));
  useEffect(() => {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    box.current.showModal();
    return () => before?.focus?.();
  }, []);
  return html`<dialog class="keys" ref=${box} aria-labelledby="keys-title" onClose=${close} onClick=${(
    /** @type {any} */ event,
  ) => {
    if (event.target === box.current) box.current.close();
  }}>
      <div class="inside">
        <header><h1 id="keys-title">Keys</h1>
          <button type="button" class="icon" aria-label="Close" onClick=${() => box.current.close()}>×</button></header>
        ${KEYS.map(
          ([title, rows]) => html`<section><h2>${title}</h2>
              <dl>${
                /** @type {string[][]} */ (rows).map(
                  ([keys, does]) => html`<div>
                      <dt>${keys.split(" ").map((one) => html`<kbd>${one}</kbd> `)}</dt><dd>${does}</dd></div>`,
                )
              }</dl></section>`,
        )}
      </div></dialog>`;
}
