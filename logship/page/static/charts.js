// Charts: pure functions from data to SVG.
import { html } from "./html.js";

/** @typedef {{key: string, values: (number | null)[]}} Series `key` names the class that colours it. */
/** @typedef {{since: number, until: number}} Span */
/** @typedef {{at: number, kind: "death" | "start" | "end" | "change" | "began" | "note",
 * words: string}} Mark */

// One failure among thousands must be visible.
/** @type {Record<string, number>} */
const LEAST_PX = { 5: 2, x: 2, 4: 1 };

/** @param {number} n one decimal is finer than a pixel */
const px = (n) => Math.round(n * 10) / 10;

/** Left edge and width of each bar in a chart. @param {Span} span @param {number} every @param {number} width */
export function columns(span, every, width) {
  const first = Math.floor(span.since / every),
    bars = Math.max(1, Math.ceil(span.until / every) - first);
  const scale = width / (bars * every);
  return {
    bars,
    width: width / bars,
    x: (/** @type {number} */ ms) => (ms - first * every) * scale,
    left: (/** @type {number} */ bar) => (bar * width) / bars,
    from: (/** @type {number} */ bar) => (first + bar) * every,
    at: (/** @type {number} */ x) => Math.min(bars - 1, Math.max(0, Math.floor((x / width) * bars))),
  };
}

/** The smallest round number that is at least `n`. @param {number} n */
export function ceiling(n) {
  if (!(n > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(n));
  return ([1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((one) => one * power >= n) ?? 10) * power;
}

/** @param {Series[]} series @returns {number} the tallest stack */
export function tallest(series) {
  const bars = series[0]?.values.length ?? 0;
  let most = 0;
  for (let at = 0; at < bars; at += 1) {
    let sum = 0;
    for (const one of series) sum += one.values[at] ?? 0;
    most = Math.max(most, sum);
  }
  return most;
}

/** Stacked bars, the first series at the bottom. One path per series keeps the document small.
 * @param {{series: Series[], width: number, height: number, most?: number}} given */
export function bars({ series, width, height, most = ceiling(tallest(series)) }) {
  const n = series[0]?.values.length ?? 0;
  const step = width / n,
    gap = step > 4 ? 1 : step > 2 ? 0.5 : 0;
  const ground = new Array(n).fill(0),
    edge = new Array(n).fill(height);
  return html`<g class="bars">${series.map((one) => {
    let path = "";
    one.values.forEach((value, at) => {
      if (!value) return;
      const bottom = edge[at];
      ground[at] += value;
      const top = Math.min(height - (ground[at] / most) * height, bottom - (LEAST_PX[one.key] ?? 1));
      edge[at] = top;
      path += `M${px(at * step)} ${px(bottom)}V${px(top)}h${px(step - gap)}V${px(bottom)}z`;
    });
    return (
      path &&
      html`<path class=${`fill-${one.key}`} d=${path} />
        <path class="hatch" fill=${`url(#hatch-${one.key})`} d=${path} />`
    );
  })}</g>`;
}

// A log scale shows 2 ms and 8 s in one track; it starts at 0.1 ms.
const LEAST_NS = 1e5;
/** The position of a duration on the log scale, from 0 on. @param {number | null} ns @returns {number | null} */
export const magnitude = (ns) => (ns === null ? null : Math.log10(Math.max(ns, LEAST_NS) / LEAST_NS));
/** The duration at a position of the log scale. @param {number} at */
export const duration = (at) => LEAST_NS * 10 ** at;

/** A line through all points, interrupted where there is no value.
 * @param {{values: (number | null)[], x: (index: number) => number, height: number, most: number, name: string}} given
 * */
export function line({ values, x, height, most, name }) {
  let path = "",
    drawn = false,
    dots = "";
  values.forEach((value, at) => {
    if (value === null || value === undefined) {
      drawn = false;
      return;
    }
    const left = px(x(at)),
      y = px(height - Math.min(1, Math.max(0, value / most)) * (height - 3) - 1.5);
    path += `${drawn ? "L" : "M"}${left} ${y}`;
    if (!drawn && (values[at + 1] ?? null) === null) dots += `M${left} ${y}h.01`;
    drawn = true;
  });
  return html`<g class=${`line line-${name}`}><path d=${path} />${dots && html`<path class="dot" d=${dots} />`}</g>`;
}

/** A step line. @param {{points: [number, number][], x: (ms: number) => number,
 * until: number, height: number, most: number, name: string, gap: number}} given
 * `gap`: a longer time without a point interrupts the line. */
export function steps({ points, x, until, height, most, name, gap }) {
  let path = "",
    area = "";
  const y = (/** @type {number} */ value) => px(height - Math.min(1, value / most) * (height - 2) - 1);
  points.forEach(([at, value], index) => {
    const next = points[index + 1]?.[0] ?? Math.min(until, at + gap);
    const left = px(Math.max(0, x(at))),
      right = px(x(Math.min(next, at + gap)));
    const joined = index > 0 && at - points[index - 1][0] <= gap;
    path += `${joined ? "L" : "M"}${left} ${y(value)}H${right}`;
    area += `M${left} ${height}V${y(value)}H${right}V${height}z`;
  });
  return html`<g class=${`line line-${name}`}><path class="area" d=${area} /><path d=${path} /></g>`;
}

/**
 * A strip of cells with the class heat-0 to heat-4 by value.
 * @param {{values: (number | null)[], width: number, y: number, height: number, limits: number[]}} given
 */
export function heat({ values, width, y, height, limits }) {
  const step = width / values.length;
  const paths = ["", "", "", "", ""];
  values.forEach((value, at) => {
    if (value === null) return;
    const strength = limits.filter((limit) => value >= limit).length;
    paths[strength] +=
      `M${px(at * step)} ${y}h${px(Math.max(step - 0.5, 0.5))}v${height}h-${px(Math.max(step - 0.5, 0.5))}z`;
  });
  return html`<g class="heat">
      ${paths.map((path, strength) => path && html`<path class=${`heat-${strength}`} d=${path} />`)}</g>`;
}

/**
 * Crashes, stops and starts of workers, changes of their service, and beginnings of findings, as signs with a vertical
 * line.
 * @param {{marks: Mark[], x: (ms: number) => number, height: number}} given
 */
export function marks({ marks: all, x, height }) {
  return html`<g class="marks">${all.map((one) => {
    const at = px(x(one.at));
    const sign =
      one.kind === "death"
        ? `M${at - 4} 3l8 8M${at + 4} 3l-8 8`
        : one.kind === "start"
          ? `M${at} ${height - 11}l5 9h-10z`
          : one.kind === "change"
            ? `M${at} 2l5 5l-5 5l-5 -5z`
            : one.kind === "began"
              ? `M${at} 3h9l-3 4l3 4h-9z`
              : one.kind === "note"
                ? `M${at} 2h10v7h-6l-4 4z`
                : `M${at - 4} 3h8v8h-8z`;
    return html`<g class=${`mark mark-${one.kind}`}><title>${one.words}</title>
        <path class="stem" d=${`M${at} 0V${height}`} /><path class="sign" d=${sign} /></g>`;
  })}</g>`;
}

/**
 * Times for the labels of the axis, at most one per `room` pixels.
 * @param {Span} span
 * @param {number} width
 * @param {number} room
 * @param {number} [offset] ms that the clock on the wall is ahead of UTC
 */
export function ticks(span, width, room, offset = 0) {
  const S = 1000,
    M = 60 * S,
    H = 60 * M,
    D = 24 * H;
  const nice = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500,
    S,
    2 * S,
    5 * S,
    10 * S,
    15 * S,
    30 * S,
    M,
    2 * M,
    5 * M,
    10 * M,
    15 * M,
    30 * M,
    H,
    2 * H,
    3 * H,
    6 * H,
    12 * H,
    D,
    2 * D,
    7 * D,
    14 * D,
    30 * D,
    90 * D,
    365 * D,
  ];
  const least = ((span.until - span.since) * room) / Math.max(width, 1);
  const step = nice.find((one) => one >= least) ?? 365 * D;
  const found = [];
  for (let at = Math.ceil((span.since + offset) / step) * step - offset; at < span.until; at += step) found.push(at);
  return { step, at: found };
}

/**
 * @param {{span: Span, width: number, x: (ms: number) => number, words: (ms: number, step: number) => string, offset?:
 *   number, height?: number}} given
 */
export function axis({ span, width, x, words, offset = 0, height = 18 }) {
  const { step, at } = ticks(span, width, 84, offset);
  return html`<g class="axis"><path class="ground" d=${`M0 .5H${width}`} />${at.map((ms) => {
    const left = px(x(ms));
    const anchor = left < 24 ? "start" : left > width - 24 ? "end" : "middle";
    return html`<g><path d=${`M${left} 0v4`} />
        <text x=${anchor === "start" ? Math.max(left, 0) : Math.min(left, width)} y=${height - 3} text-anchor=${anchor}>
          ${words(ms, step)}</text></g>`;
  })}</g>`;
}

/**
 * Vertical grid lines at the labels of the axis.
 * @param {{span: Span, width: number, height: number, x: (ms: number) => number, offset?: number}} given
 */
export function grid({ span, width, height, x, offset = 0 }) {
  return html`<path class="grid" d=${ticks(span, width, 84, offset)
    .at.map((ms) => `M${px(x(ms))} 0V${height}`)
    .join("")} />`;
}

/**
 * The highlight of the selected columns.
 * @param {{from: number, to: number, width: number, height: number, bars: number, brush: boolean}} given
 */
export function chosen({ from, to, width, height, bars: n, brush }) {
  const step = width / n;
  return html`<rect class=${brush ? "brush" : "focus"} x=${px(from * step)} y="0"
      width=${px(Math.max((to - from + 1) * step, 2))} height=${height} />`;
}

/**
 * A small histogram with bars of equal width.
 * @param {{counts: number[], width: number, height: number}} given
 */
export function small({ counts, width, height }) {
  return html`<svg class="small" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} aria-hidden="true">
      ${bars({ series: [{ key: "plain", values: counts }], width, height, most: Math.max(1, ...counts) })}</svg>`;
}

/** The phases of a request as parts of one line, in order of time.
 * @param {{parts: {name: string, from: number, to: number}[], whole: number, width: number, height: number}} given
 * nanoseconds */
export function waterfall({ parts, whole, width, height }) {
  const x = (/** @type {number} */ ns) => px((ns / Math.max(whole, 1)) * width);
  return html`<g class="waterfall">${parts.map(
    (part) => html`<rect class=${`part part-${part.name}`} x=${x(part.from)} y="0"
        width=${Math.max(x(part.to) - x(part.from), 1.5)} height=${height} />
      <rect class="hatch" fill=${`url(#hatch-${part.name})`} x=${x(part.from)} y="0"
        width=${Math.max(x(part.to) - x(part.from), 1.5)} height=${height} />`,
  )}</g>`;
}

/** Hatch patterns for readers who cannot distinguish the colours. Once per document. */
export function patterns() {
  const stripes = (/** @type {string} */ name, /** @type {number} */ size, /** @type {string} */ path) =>
    html`<pattern id=${`hatch-${name}`} width=${size} height=${size} patternUnits="userSpaceOnUse">
        <path class="stripe" d=${path} /></pattern>`;
  return html`<svg class="away" width="0" height="0" aria-hidden="true" focusable="false"><defs>
        ${stripes("4", 6, "M-1 7L7 -1M-1 1L1 -1M5 7L7 5")}
        ${stripes("5", 4, "M-1 -1L5 5M-1 3L1 5M3 -1L5 1M-1 5L5 -1")}
        ${stripes("x", 4, "M0 2H4")}
        ${stripes("3", 6, "M3 0V6")}
        ${stripes("wait", 12, "M-2 14L14 -2M-2 2L2 -2M10 14L14 10")}
        ${stripes("after", 5, "M2.5 0V5")}
      </defs></svg>`;
}
