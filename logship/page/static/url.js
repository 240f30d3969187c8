// The state of every view is its address. This module reads it, changes it, and notifies components.
import { useEffect, useState } from "./vendor/hooks.js";
import { asNs, MINUTE, rfc, spanOf, stepFor } from "./time.js";

/** @typedef {import("./time.js").Zone} Zone */
/** @typedef {{path: string, params: Record<string, string>}} Place */
/** @typedef {{since: number, until: number, live: boolean, span: number, every: number, now: number}} Window
 * Milliseconds; `live`: it moves with the clock; `every`: width of a bar; `now`: its end, or the present if that is
 * earlier. */

export const DEFAULT_LAST = "15m";
// Parameters that links between views keep.
const CARRIED = ["last", "since", "until", "zone", "service"];
export const REFRESH_MS = 5000;

/** @returns {Place} */
const read = () => ({
  path: decode(location.pathname),
  params: Object.fromEntries(new URLSearchParams(location.search)),
});

/** @param {string} path */
function decode(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

let place = read();
/** @type {Set<() => void>} */
const listeners = new Set();

const tell = () => {
  place = read();
  for (const one of [...listeners]) one();
};
addEventListener("popstate", tell);

/** @param {string} path @param {Record<string, string | null | undefined>} [params] @returns {string} an address */
export function href(path, params = {}) {
  const carried = Object.fromEntries(
    CARRIED.filter((name) => place.params[name]).map((name) => [name, place.params[name]]),
  );
  const said = Object.entries({ ...carried, ...params }).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  const text = new URLSearchParams(/** @type {[string, string][]} */ (said)).toString();
  return encodeURI(path).replace(/[?#]/g, encodeURIComponent) + (text ? `?${text}` : "");
}

/** Go to an address of the page. @param {string} address @param {boolean} [replace] without an entry in the history */
export function go(address, replace = false) {
  const view = address.split("?")[0] !== location.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", address);
  tell();
  if (view) scrollTo(0, 0);
}

/**
 * Change parameters of this view; null removes one.
 * @param {Record<string, string | null>} changes
 * @param {boolean} [replace]
 */
export function patch(changes, replace = false) {
  const params = { ...place.params, ...changes };
  const said = Object.entries(params).filter(([, value]) => value !== null && value !== "");
  const text = new URLSearchParams(/** @type {[string, string][]} */ (said)).toString();
  go(location.pathname + (text ? `?${text}` : ""), replace);
}

/** @returns {Place} where we are; the component is drawn again when that changes */
export function usePlace() {
  const [, again] = useState(0);
  useEffect(() => {
    const one = () => again((n) => n + 1);
    listeners.add(one);
    return () => void listeners.delete(one);
  }, []);
  return place;
}

export const here = () => place;

/** The zone that times are shown in. @param {Record<string, string>} params @returns {Zone} */
export const zoneOf = (params) => (params.zone === "local" ? "local" : "utc");

/** A time in an address: RFC 3339 or nanoseconds since 1970. @param {string | undefined} text */
const moment = (text) => (text ? (/^\d{16,}$/.test(text) ? Number(text) / 1e6 : Date.parse(text)) : NaN);

/** The time range of an address. A live one starts and ends at the edges of its bars.
 * @param {Record<string, string>} params @param {number} now @param {number} [bars] at most so many @returns {Window}
 * */
export function windowOf(params, now, bars = 90) {
  const since = moment(params.since),
    until = moment(params.until);
  if (!Number.isNaN(since)) {
    const end = Number.isNaN(until) ? now : Math.max(until, since + 1);
    return {
      since: Math.floor(since),
      until: Math.ceil(end),
      live: false,
      span: end - since,
      every: stepFor(end - since, bars),
      now: Math.min(Math.ceil(end), now),
    };
  }
  const span = spanOf(params.last ?? "") ?? spanOf(DEFAULT_LAST) ?? 15 * MINUTE;
  const every = stepFor(span, bars);
  const end = (Math.floor(now / every) + 1) * every;
  return { since: end - Math.ceil(span / every) * every, until: end, live: true, span, every, now };
}

// When the server made the page: the first API request in its head refers to this time.
let made = Number(document.querySelector("meta[name=now]")?.getAttribute("content") ?? 0);

/** The present; for the first caller, the time when the server made the page. @returns {number} ms */
export function present() {
  const now = made || Date.now();
  made = 0;
  return now;
}

/** The parameters of an absolute time range. @param {{since: number, until: number}} span */
export const exactly = (span) => ({
  since: rfc(Math.floor(span.since)),
  until: rfc(Math.ceil(span.until)),
  last: null,
});

/** The time range of this address; a live one moves every five seconds, unless the page is hidden.
 * @param {number} [bars] @returns {Window} */
export function useWindow(bars = 90) {
  const { params } = usePlace();
  const [now, setNow] = useState(() => Date.now());
  const live = !params.since;
  useEffect(() => {
    if (!live) return undefined;
    const timer = setInterval(() => {
      if (!document.hidden) setNow(Date.now());
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [live]);
  useEffect(() => setNow(Date.now()), [params.last, params.since]);
  return windowOf(params, now, bars);
}

/** The past part of a time range; of a live one in whole minutes, for queries that are too large to repeat every five
 * seconds. @param {Window} window @returns {{since: number, until: number}} */
export function inMinutes(window) {
  if (!window.live)
    return { since: window.since, until: Math.max(Math.min(window.until, window.now), window.since + 1) };
  const until = Math.floor(window.now / MINUTE) * MINUTE;
  return { since: until - window.span, until };
}

/** Pause a live time range, or resume a paused one. @param {Window} window */
export function toggleLive(window) {
  if (window.live) patch({ since: rfc(window.since), until: rfc(Math.min(window.until, Date.now())) });
  else patch({ since: null, until: null });
}

/**
 * This view's address with absolute times.
 * @param {Window | null} window
 * @param {Record<string, string | null>} [more]
 */
export function permanent(window, more = {}) {
  const times = window
    ? exactly({ since: window.since, until: Math.min(window.until, Math.max(Date.now(), window.since + 1)) })
    : {};
  const said = Object.entries({ ...place.params, ...times, ...more }).filter(
    ([, value]) => value !== null && value !== "",
  );
  return `${location.origin}${location.pathname}?${new URLSearchParams(/** @type {[string, string][]} */ (said))}`;
}

export { asNs };
