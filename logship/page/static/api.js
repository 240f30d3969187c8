// The client of the HTTP API. An old result stays on screen until the new one has arrived.
import { useLayoutEffect, useRef, useState } from "./vendor/hooks.js";
import { asNs } from "./time.js";
import { here } from "./url.js";

/** @typedef {import("./words.js").Event} Event */
/** @typedef {{since: number, until: number}} Span Milliseconds; `until` is not included. */
/** @typedef {Record<string, string | number | null | undefined>} Asked */
/** @typedef {{start_ns: number, key: string, and_key: string, events: number}} Bucket */

export class AskError extends Error {
  /**
   * @param {string} sentence
   * @param {number} status 0 when nobody answered
   * @param {number | null} [at]
   * @param {string} [expected]
   */
  constructor(sentence, status, at = null, expected = "") {
    super(sentence);
    this.status = status;
    this.at = at;
    this.expected = expected;
  }
}

/** @param {string} name @param {Asked} [asked] @returns {string} */
export function address(name, asked = {}) {
  const given = Object.entries(asked).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
  return `/api/${name}${text ? `?${text}` : ""}`;
}

/** @param {string} name @param {Asked} [asked] @param {AbortSignal} [signal] @returns {Promise<any>} */
export async function ask(name, asked = {}, signal = undefined) {
  busy += 1;
  try {
    return await answered(name, asked, signal);
  } finally {
    busy -= 1;
    if (!busy) for (const go of waiting.splice(0)) go();
  }
}

let busy = 0;
/** @type {(() => void)[]} */
const waiting = [];

// A view is loaded by then and has sent its first requests.
const HEAD_START_MS = 300;

/** Resolves when no request is pending: secondary content waits for what a view shows first. */
export async function idle() {
  await new Promise((done) => {
    setTimeout(done, HEAD_START_MS);
  });
  await answers();
}

/** Resolves when all pending requests have their responses. */
export async function answers() {
  while (busy)
    await new Promise((done) => {
      waiting.push(() => done(undefined));
    });
}

/**
 * Ask for something that takes seconds: after what a view shows first, and without others waiting for it.
 * @param {string} name
 * @param {Asked} asked
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */
export async function askLater(name, asked, signal) {
  await idle();
  signal.throwIfAborted();
  return answered(name, asked, signal);
}

/** @param {string} name @param {Asked} asked @param {AbortSignal} [signal] @returns {Promise<any>} */
async function answered(name, asked, signal) {
  let answer;
  try {
    answer = await fetch(address(name, asked), { signal, credentials: "same-origin" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new AskError(`The collector at ${location.host} is unreachable. Start it with: logship up`, 0);
  }
  const result = await answer.json().catch(() => null);
  if (answer.ok && result) return result;
  throw new AskError(
    result?.error ?? `the response has status ${answer.status}`,
    answer.status,
    result?.at ?? null,
    result?.expected ?? "",
  );
}

/** The parameters for a time range and the selected service. @param {Span} span */
export const within = (span) => ({
  since_ns: asNs(span.since),
  until_ns: asNs(span.until),
  service: here().params.service,
});

/** @template T @typedef {{data: T | null, error: AskError | null, loading: boolean}} Answer */

/** Request again whenever the key changes; the old result stays until the new one arrives. While the collector is
 * unreachable, the request is repeated every three seconds.
 * @template T @param {string | null} key null: do not ask @param {(signal: AbortSignal) => Promise<T>} question
 * @param {boolean} [keep] false: forget the old answer at once @returns {Answer<T>} */
export function useAnswer(key, question, keep = true) {
  if (key !== null) key = `${here().params.service ?? ""} ${key}`;
  const [state, setState] = useState(
    /** @type {Answer<T> & {key: string | null}} */ ({ data: null, error: null, loading: key !== null, key }),
  );
  const latest = useRef(question);
  latest.current = question;
  // In a layout effect: one frame earlier than an effect.
  useLayoutEffect(() => {
    if (key === null) {
      setState({ data: null, error: null, loading: false, key });
      return undefined;
    }
    const stop = new AbortController();
    let again = 0;
    const run = () => {
      latest.current(stop.signal).then(
        (data) => {
          if (!stop.signal.aborted) setState({ data, error: null, loading: false, key });
        },
        (/** @type {any} */ error) => {
          if (stop.signal.aborted) return;
          const result = error instanceof AskError ? error : new AskError(String(error), 0);
          if (!(error instanceof AskError)) console.error(error);
          setState((old) => ({ data: result.status === 400 ? null : old.data, error: result, loading: false, key }));
          if (result.status === 0 || result.status === 503) again = setTimeout(run, 3000);
        },
      );
    };
    setState((old) => ({ data: keep ? old.data : null, error: keep ? old.error : null, loading: true, key }));
    run();
    return () => {
      stop.abort();
      clearTimeout(again);
    };
  }, [key]);
  return state.key === key || keep ? state : { data: null, error: null, loading: key !== null };
}

/**
 * One query of the API by name.
 * @param {string | null} name
 * @param {Asked} [asked]
 * @param {boolean} [keep]
 * @returns {Answer<any>}
 */
export function useAsk(name, asked = {}, keep = true) {
  return useAnswer(
    name === null ? null : address(name, asked),
    (signal) => ask(/** @type {string} */ (name), asked, signal),
    keep,
  );
}

/**
 * Count by one or two fields in time buckets.
 * @param {string} q
 * @param {Span} span
 * @param {number} every ms
 * @param {string | null} by
 * @param {AbortSignal} signal
 * @param {string | null} [andBy]
 */
export async function tally(q, span, every, by, signal, andBy = null) {
  const result = await ask("tally", { q, ...within(span), every_ns: every * 1e6, by, and_by: andBy }, signal);
  return /** @type {Bucket[]} */ (result.buckets);
}

/** Buckets as one list of numbers per key, with one number per bar from `since` on.
 * @param {Bucket[]} buckets @param {Span} span @param {number} every @returns {Map<string, number[]>} */
export function series(buckets, span, every) {
  const first = Math.floor(span.since / every);
  const bars = Math.ceil(span.until / every) - first;
  const found = new Map();
  for (const one of buckets) {
    if (!found.has(one.key)) found.set(one.key, new Array(bars).fill(0));
    const at = Math.round(one.start_ns / 1e6 / every) - first;
    if (at >= 0 && at < bars) found.get(one.key)[at] += one.events;
  }
  return found;
}

/** p50 and p99 of requests by worker, one number per time bucket.
 * @param {any[]} stats @param {Span} span @param {number} every
 * @returns {Map<string, {p50: (number | null)[], p99: (number | null)[]}>} */
export function latencies(stats, span, every) {
  const first = Math.floor(span.since / every),
    bars = Math.ceil(span.until / every) - first;
  const found = new Map();
  for (const stat of stats) {
    if (!found.has(stat.key)) found.set(stat.key, { p50: new Array(bars).fill(null), p99: new Array(bars).fill(null) });
    const slices = found.get(stat.key),
      at = Math.round(stat.start_ns / 1e6 / every) - first;
    slices.p50[at] = stat.p50;
    slices.p99[at] = stat.p99;
  }
  return found;
}
