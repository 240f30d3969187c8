// What the keys do.
import { html } from "./html.js";
import { useEffect, useRef } from "./vendor/hooks.js";

const KEYS = [
  [
    "Everywhere",
    [
      ["/", "to the question"],
      ["1 2 3 4 0", "overview, search, tail, panels, account"],
      ["[ ]", "earlier, later"],
      ["z Z", "closer, wider"],
      ["Space", "hold still, go on (overview, tail)"],
      ["u", "UTC or local time"],
      ["y", "copy a link with absolute times"],
      ["?", "these keys"],
      ["Esc", "out of a box or a menu"],
    ],
  ],
  [
    "In a chart",
    [
      ["← →", "from bar to bar"],
      ["Shift ← →", "select several bars"],
      ["Enter", "the requests behind the bar, or closer into the selection"],
      ["z", "closer into the bar"],
      ["Esc", "nothing selected"],
    ],
  ],
  [
    "In a list",
    [
      ["j k", "next, previous line"],
      ["Enter", "details, and back"],
      ["c C", "what happened around it: on this worker, on all"],
      ["r", "the request it belongs to"],
      ["w", "its worker"],
      ["e", "export all that matches"],
    ],
  ],
];

/**
 * Whether a key is meant for us: nobody took it, it is no shortcut of the browser, and no dialog is open.
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
