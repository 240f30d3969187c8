// Values as text for readers. Control characters, direction marks and characters without width in events are written
// out, so that no text can look like another.

const CONTROLS = new RegExp(
  [
    "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u00ad\\u061c\\u180e]",
    "[\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb]",
    "[\\ud800-\\udbff][\\udc00-\\udfff]", // a pair is one character, which can be seen
    "[\\ud800-\\udfff]",
  ].join("|"),
  "g",
);

/** The text with invisible characters written as ‹U+202E›; `lines` keeps line breaks.
 * @param {unknown} value @param {boolean} [lines] @returns {string} */
export function visible(value, lines = false) {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  const shown = text.replace(CONTROLS, (found) =>
    found.length === 2
      ? found
      : found === "\r" && lines
        ? ""
        : `‹U+${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}›`,
  );
  return lines ? shown : shown.replace(/[\t\n]+/g, (found) => (found.includes("\n") ? " ⏎ " : "  "));
}

/**
 * At most `most` characters of the visible text, and … when there is more.
 * @param {unknown} value
 * @param {number} most
 */
export function short(value, most) {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  const shown = visible(text.slice(0, most + 1));
  return text.length > most ? `${shown.slice(0, most)}…` : shown;
}

/** @param {number} n @returns {string} 12 345 as 12,345 */
export const count = (n) => Math.round(n).toLocaleString("en-US");

/** @param {number} n @param {string} one @param {string} [many] */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** Nanoseconds: `950 µs`, `12.4 ms`, `3.41 s`, `2 min 5 s`. @param {number | null | undefined} ns @returns {string} */
export function took(ns) {
  if (ns === null || ns === undefined || Number.isNaN(ns)) return "–";
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toFixed(0)} µs`;
  if (ns < 1e9) return `${(ns / 1e6).toFixed(ns < 1e8 ? 1 : 0)} ms`;
  if (ns < 12e10) return `${(ns / 1e9).toFixed(2)} s`;
  return `${Math.floor(ns / 6e10)} min ${Math.round((ns % 6e10) / 1e9)} s`;
}

/** The time since the previous event: `+12 ms`. @param {number} ns */
export function since(ns) {
  const size = Math.abs(ns);
  if (size < 1e6) return size < 1e3 ? "0" : `${ns < 0 ? "−" : "+"}${(size / 1e6).toFixed(2)} ms`;
  return `${ns < 0 ? "−" : "+"}${took(size)}`;
}

/** @param {number} bytes */
export function bytes(bytes) {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  const units = ["KB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length);
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`;
}

/** A share: `0.4 %`. @param {number} part @param {number} whole */
export function share(part, whole) {
  if (!whole || !part) return "0 %";
  const percent = (100 * part) / whole;
  return `${percent < 0.1 ? "< 0.1" : percent < 9.95 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

/** A number without a unit. @param {number} n */
export function number(n) {
  if (Number.isInteger(n)) return Math.abs(n) < 1e15 ? n.toLocaleString("en-US") : String(n);
  return Math.abs(n) >= 100 ? n.toFixed(1) : String(Number(n.toPrecision(4)));
}

/** The number of a field with the unit in its name. @param {string} field @param {number} n */
export function inUnit(field, n) {
  if (field === "event.duration" || field.endsWith("_ns")) return took(n);
  return field.endsWith(".bytes") ? bytes(n) : number(n);
}

/** @typedef {Record<string, any>} Event One record as the interface gives it. */

/** The class of a status: "2", "4", "5", or "x" for a request that failed without one. @param {Event} event */
export function statusClass(event) {
  const status = event["http.response.status_code"];
  if (typeof status === "number") return String(Math.floor(status / 100));
  return event["event.dataset"] === "logship.request" ? "x" : "";
}

/** "bad", "warn" or "" for an event. @param {Event} event */
export function gravity(event) {
  const kind = statusClass(event),
    level = event["log.level"];
  if (kind === "5" || level === "error" || level === "critical" || event["event.outcome"] === "failure") return "bad";
  return kind === "4" || level === "warning" ? "warn" : "";
}

/** @type {Record<string, string>} */
const STATES = { lost: "crashed", ended: "stopped", closed: "stopped" };

/**
 * The state of a worker as tables show it, the same words as on the command line.
 * @param {string} state
 */
export const workerState = (state) => STATES[state] ?? visible(state);

/**
 * `w3` of a worker's event; `shop w3` where there are several services.
 * @param {Event} event
 * @param {boolean} [several]
 */
export function workerName(event, several = false) {
  const slot = event["logship.worker.slot"];
  if (typeof slot === "number")
    return `${several && event["service.name"] ? `${short(event["service.name"], 24)} ` : ""}w${slot}`;
  return event["logship.worker.role"] ? short(event["logship.worker.role"], 12) : "";
}
