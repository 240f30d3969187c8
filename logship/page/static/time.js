// Times. The page uses milliseconds since 1970 in UTC; events have nanoseconds as text, which are kept as they are.

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

// Round widths of a bar. Bars start at multiples of the width since 1970: their edges are the same in every query.
const STEPS = [
  1,
  2,
  5,
  10,
  20,
  50,
  100,
  200,
  500,
  SECOND,
  2 * SECOND,
  5 * SECOND,
  10 * SECOND,
  15 * SECOND,
  30 * SECOND,
  MINUTE,
  2 * MINUTE,
  5 * MINUTE,
  10 * MINUTE,
  15 * MINUTE,
  30 * MINUTE,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  5 * DAY,
  10 * DAY,
  20 * DAY,
  50 * DAY,
  100 * DAY,
  365 * DAY,
];
const UNITS = { ms: 1, s: SECOND, m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY };

/** The smallest round width with which `span` milliseconds are at most `most` bars.
 * @param {number} span @param {number} most @returns {number} */
export function stepFor(span, most) {
  return STEPS.find((step) => span / step <= most) ?? STEPS[STEPS.length - 1];
}

/** Milliseconds of `15m`, `90s`, `1h30m`; null for anything else.
 * @param {string} text @returns {number | null} */
export function spanOf(text) {
  const parts = [
    ...text
      .trim()
      .toLowerCase()
      .matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*/gy),
  ];
  const whole = parts.map((part) => part[0]).join("");
  if (!whole || whole.length !== text.trim().length) return null;
  return parts.reduce((sum, part) => sum + Number(part[1]) * UNITS[/** @type {keyof typeof UNITS} */ (part[2])], 0);
}

/** `15 min`, `1 h 30 min`, `2 days`. @param {number} ms @returns {string} */
export function spanWords(ms) {
  if (ms < SECOND) return `${Math.round(ms)} ms`;
  const said = [];
  let rest = Math.round(ms / SECOND) * SECOND;
  for (const [unit, one, many] of /** @type {[number, string, string][]} */ ([
    [DAY, "day", "days"],
    [HOUR, "h", "h"],
    [MINUTE, "min", "min"],
    [SECOND, "s", "s"],
  ])) {
    const n = Math.floor(rest / unit);
    rest -= n * unit;
    if (n && said.length < 2) said.push(`${n} ${n === 1 ? one : many}`);
  }
  return said.join(" ");
}

/** Milliseconds of an RFC 3339 text, with a fraction for nanoseconds; NaN if it is invalid.
 * @param {string} text @returns {number} */
export function msOf(text) {
  const found = /^(.*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(text ?? "");
  if (!found) return Date.parse(text);
  return Date.parse(found[1] + found[3]) + Number(`0.${found[2] ?? 0}`) * 1000;
}

/** The nanoseconds between two RFC 3339 texts with nine digits, exactly. @param {string} a @param {string} b */
export function nsBetween(a, b) {
  return Number(nanoseconds(b) - nanoseconds(a));
}

/** @param {string} text @returns {bigint} nanoseconds since 1970 */
export function nanoseconds(text) {
  const found = /^(.*?)(?:\.(\d+))?Z$/.exec(text);
  const seconds = found ? Date.parse(`${found[1]}Z`) : NaN;
  if (!found || Number.isNaN(seconds)) return 0n;
  return BigInt(seconds) * 1000000n + BigInt((found[2] ?? "").padEnd(9, "0").slice(0, 9));
}

/** @param {number} ms @returns {string} nanoseconds as the interface takes them */
export const asNs = (ms) => `${Math.round(ms)}000000`;

/** @param {number} ms @returns {string} RFC 3339 in UTC with milliseconds, for addresses */
export const rfc = (ms) => new Date(ms).toISOString();

/** @typedef {"utc" | "local"} Zone */

/** Date and time of day in a zone. @param {number} ms @param {Zone} zone */
function parts(ms, zone) {
  const at = new Date(zone === "utc" ? ms : ms - offset(ms) * MINUTE);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return {
    date: `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`,
    clock: `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`,
    milli: String(at.getUTCMilliseconds()).padStart(3, "0"),
  };
}

/** Minutes that local time is behind UTC. @param {number} ms */
const offset = (ms) => new Date(ms).getTimezoneOffset();

/** `UTC` or `UTC+01:00`, as it was at that moment. @param {number} ms @param {Zone} zone @returns {string} */
export function zoneWords(ms, zone) {
  const behind = zone === "utc" ? 0 : offset(ms);
  if (zone === "utc") return "UTC";
  const size = Math.abs(behind);
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `UTC${behind > 0 ? "−" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** `14:03:22.123`; with the day when it is not today's. @param {number} ms @param {Zone} zone @param {number} [now] */
export function stamp(ms, zone, now) {
  const at = parts(ms, zone);
  const same = now !== undefined && parts(now, zone).date === at.date;
  return same ? `${at.clock}.${at.milli}` : `${at.date} ${at.clock}.${at.milli}`;
}

/**
 * `14:03:22` or, for coarse steps, less; with the day where a day begins.
 * @param {number} ms
 * @param {Zone} zone
 * @param {number} step
 */
export function tick(ms, zone, step) {
  const at = parts(ms, zone);
  if (step >= DAY || (at.clock === "00:00:00" && step >= MINUTE)) return at.date.slice(5);
  return step >= MINUTE ? at.clock.slice(0, 5) : step >= SECOND ? at.clock : `${at.clock.slice(3)}.${at.milli}`;
}

/** `2026-11-20 14:03:22`. @param {number} ms @param {Zone} zone */
export function full(ms, zone) {
  const at = parts(ms, zone);
  return `${at.date} ${at.clock}`;
}

/** `14:03:20 to 14:03:30`. @param {number} from @param {number} to @param {Zone} zone */
export function range(from, to, zone) {
  const fine = to - from < SECOND;
  const [a, b] = [parts(from, zone), parts(to, zone)];
  const one = fine ? `${a.clock}.${a.milli}` : a.clock;
  const two = fine ? `${b.clock}.${b.milli}` : b.clock;
  return a.date === b.date ? `${a.date} ${one} to ${two}` : `${a.date} ${one} to ${b.date} ${two}`;
}

/** For <input type="datetime-local">. @param {number} ms @param {Zone} zone */
export function toInput(ms, zone) {
  const at = parts(ms, zone);
  return `${at.date}T${at.clock}`;
}

/** The inverse of toInput; NaN for empty text. @param {string} text @param {Zone} zone */
export const fromInput = (text, zone) => Date.parse(zone === "utc" ? `${text}Z` : text);
