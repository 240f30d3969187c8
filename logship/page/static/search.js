// Search: the query, its events over time, the list of events, and the values of their fields.
import { html } from "./html.js";
import { useEffect, useMemo, useRef, useState } from "./vendor/hooks.js";
import * as charts from "./charts.js";
import { address, answers, ask, idle, series, tally, useAnswer, useAsk, within } from "./api.js";
import { Box, fields as known } from "./box.js";
import { Chart, CLASSES, Copy, Legend, Nothing, Notice, Begin, Problem, Text, useTitle } from "./parts.js";
import { filter, List } from "./list.js";
import { go, here, href, patch, present, usePlace, windowOf, zoneOf } from "./url.js";
import { ahead } from "./parts.js";
import { range } from "./time.js";
import { all, literal } from "./kql.js";
import * as words from "./words.js";

const PAGE = 100;
const ROWS_MOST = 3000;
// More than fit on most screens; painted before the rest.
const ROWS_FIRST = 40;
const HISTOGRAM_PX = 88;
/** @type {Record<string, {field: string, words: string}>} */
const SPLITS = {
  status: { field: "http.response.status_code", words: "status" },
  worker: { field: "service.node.name", words: "worker" },
  level: { field: "log.level", words: "level" },
  kind: { field: "event.dataset", words: "kind" },
};

export function View() {
  const { params } = usePlace();
  const q = params.q ?? "",
    by = SPLITS[params.by] ? params.by : "status";
  const [asked, setAsked] = useState(0);
  // The time range is fixed when the query starts, so that the list does not change while it is read.
  const window = useMemo(() => windowOf(params, present()), [q, params.last, params.since, params.until, asked]);
  const span = useMemo(
    () =>
      window.live
        ? { since: window.now - window.span, until: window.now }
        : { since: window.since, until: window.until },
    [window],
  );
  useTitle(q ? `${q} – Search` : "Search");
  const bars = useAnswer(`bars ${q} ${by} ${span.since} ${span.until}`, async (signal) => {
    await answers(); // the list comes first
    signal.throwIfAborted();
    return series(await tally(q, span, window.every, SPLITS[by].field, signal), span, window.every);
  });
  const chosen = useMemo(
    () => (params.cols ? params.cols.split(",").map(decodeURIComponent).filter(Boolean) : []),
    [params.cols],
  );
  const choose = (/** @type {string} */ name) => {
    const next = chosen.includes(name) ? chosen.filter((one) => one !== name) : [...chosen, name];
    patch({ cols: next.map(encodeURIComponent).join(",") });
  };
  const split = useMemo(() => (bars.data ? stacked(bars.data, by) : null), [bars.data, by]);
  const total = split
    ? split.reduce((sum, one) => sum + one.values.reduce((/** @type {number} */ a, b) => a + (b ?? 0), 0), 0)
    : null;
  const exported = (/** @type {string} */ format) => address("export", { q, ...within(span), format });
  useEffect(() => {
    const key = (/** @type {KeyboardEvent} */ event) => {
      if (
        event.key !== "e" ||
        event.ctrlKey ||
        event.metaKey ||
        /** @type {HTMLElement} */ (event.target).matches("input, select, textarea") ||
        document.querySelector("dialog[open]")
      )
        return;
      document.querySelector(/** @type {any} */ (".export summary"))?.click();
      document.querySelector(/** @type {any} */ (".export a"))?.focus();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  const speak = (/** @type {number} */ bar) => {
    const parts = (split ?? [])
      .filter((one) => one.values[bar])
      .map((one) => `${words.count(one.values[bar] ?? 0)} ${one.words}`);
    const sum = (split ?? []).reduce((all, one) => all + (one.values[bar] ?? 0), 0);
    return `${words.plural(sum, "event")}${parts.length > 1 || by !== "status" ? ` (${parts.join(", ")})` : ""}`;
  };
  return html`<h1 class="away">Search</h1>
    <${Box} q=${q} window=${span} error=${bars.error} onAsk=${(/** @type {string} */ next) => {
      if (next === q) setAsked(asked + 1);
      else go(href("/search", { ...params, q: next, event: null }));
    }}>
      ${
        q &&
        html`<${Copy} kind="" label="Copy for Kibana: the query with full field names"
            text=${() => ask("kql", { q }).then((result) => result.kql)}>Copy for Kibana</${Copy}>`
      }
      <details class="menu export"><summary class="button" aria-keyshortcuts="e">Export</summary>
        <div class="pop">
          <p class="soft">
            All matching events, not only those shown: ${total === null ? "" : words.plural(total, "event")}
          </p>
          <a class="button" href=${exported("ndjson")} download>NDJSON
          </a> <a class="button" href=${exported("csv")} download>CSV</a></div></details>
    </${Box}>
    ${bars.error && bars.error.status !== 400 && html`<${Problem} error=${bars.error} />`}
    <${Chart} title=${total === null ? "…" : words.plural(total, "event")} label="Events over time" busy=${bars.loading}
      span=${span} every=${window.every} height=${HISTOGRAM_PX} speak=${speak}
      legend=${html`<span class="splits" role="group" aria-label="Split the bars by">
          ${Object.entries(SPLITS).map(
            ([key, one]) => html`<button type="button" class="quiet" aria-pressed=${by === key}
                onClick=${() => patch({ by: key === "status" ? null : key })}>${one.words}</button>`,
          )}</span>
        ${split && html`<${Legend} items=${split.filter((one) => one.values.some(Boolean))} />`}`}
      draw=${(/** @type {number} */ width, /** @type {any} */ columns) => html`${charts.grid({
        span,
        width,
        height: HISTOGRAM_PX,
        x: columns.x,
        offset: ahead(span.since, zoneOf(params)),
      })}
        ${split && charts.bars({ series: split, width, height: HISTOGRAM_PX })}
        ${split && html`<text class="most" x="4" y="11">${words.count(charts.ceiling(charts.tallest(split)))}</text>`}`}
      table=${() => ({
        heads: ["Time", ...(split ?? []).map((one) => one.words), "all"],
        rows: (split?.[0]?.values ?? []).map((_, at) => {
          const from = Math.floor(span.since / window.every) * window.every + at * window.every;
          return [
            range(from, from + window.every, zoneOf(params)),
            ...(split ?? []).map((one) => words.count(one.values[at] ?? 0)),
            words.count((split ?? []).reduce((sum, one) => sum + (one.values[at] ?? 0), 0)),
          ];
        }),
      })} />
    <div class="with-panel"><${Panel} q=${q} span=${span} chosen=${chosen} choose=${choose} total=${total} />
      <${Found} key=${`${q} ${span.since} ${span.until} ${params.order ?? ""}`} q=${q} span=${span} window=${window}
        order=${params.order === "oldest" ? "oldest" : "newest"} chosen=${chosen} choose=${choose} total=${total} />
    </div>`;
}

/** The series of a split with names and colours. @param {Map<string, number[]>} found @param {string} by */
function stacked(found, by) {
  const bars = [...found.values()][0]?.length ?? 0;
  const sum = (/** @type {number[][]} */ many) =>
    many.reduce((all, one) => all.map((n, at) => n + one[at]), new Array(bars).fill(0));
  const of = (/** @type {(key: string) => boolean} */ test) =>
    sum([...found].filter(([key]) => test(key)).map(([, values]) => values));
  if (by === "status") {
    return [
      ...CLASSES.map((one) => ({
        key: one.key,
        words: one.key === "5" ? "5xx" : one.words,
        values: of((key) => key.startsWith(one.key) && key.length === 3),
      })),
      { key: "plain", words: "without a status", values: of((key) => !/^[2-5]\d\d$/.test(key)) },
    ];
  }
  if (by === "level") {
    const bad = ["error", "critical"],
      warn = ["warning"];
    return [
      { key: "5", words: "error", values: of((key) => bad.includes(key)) },
      { key: "4", words: "warning", values: of((key) => warn.includes(key)) },
      { key: "2", words: "below", values: of((key) => !bad.includes(key) && !warn.includes(key)) },
    ];
  }
  const many = [...found].sort(([a], [b]) => (a < b ? -1 : 1));
  const shown = many.slice(0, 8).map(([key, values], at) => ({
    key: `s${at}`,
    words: words.short(by === "worker" ? key.split("/").pop() || "no worker" : key || "none", 24),
    values,
  }));
  return many.length > 8
    ? [...shown, { key: "plain", words: "others", values: sum(many.slice(8).map(([, values]) => values)) }]
    : shown;
}

/** @param {any} given */
function Found({ q, span, window, order, chosen, choose, total }) {
  const [pages, setPages] = useState(/** @type {{records: any[], next: string | null}[]} */ ([]));
  const [more, setMore] = useState(false);
  const [whole, setWhole] = useState(false);
  const first = useAsk("search", { q, ...within(span), limit: PAGE, order });
  const last = pages.length ? pages[pages.length - 1] : first.data;
  const events = useMemo(
    () => [...(first.data?.records ?? []), ...pages.flatMap((one) => one.records)],
    [first.data, pages],
  );
  const load = () => {
    if (more || !last?.next) return;
    setMore(true);
    ask("search", { q, ...within(span), limit: PAGE * 2, order, after: last.next }).then(
      (result) => {
        setPages((old) => [...old, result]);
        setMore(false);
      },
      () => setMore(false),
    );
  };
  const end = useRef(/** @type {any} */ (null));
  useEffect(() => {
    if (events.length) setWhole(true);
  }, [events.length > 0]);
  useEffect(() => {
    if (!end.current || events.length >= ROWS_MOST) return undefined;
    const seen = new IntersectionObserver(
      (entries) => {
        if (entries[0].isIntersecting) load();
      },
      { rootMargin: "600px" },
    );
    seen.observe(end.current);
    return () => seen.disconnect();
  }, [last?.next, more, whole]);
  if (first.error && first.error.status === 400) return html`<div class="found"></div>`;
  if (first.error && !first.data) return html`<div class="found"><${Problem} error=${first.error} /></div>`;
  if (!first.data)
    return html`<div class="found"><div class="list-wait" role="status"><span class="away">Searching</span></div>
      </div>`;
  const hints = (first.data.hints ?? []).map(
    (/** @type {string} */ one) => html`<p class="hint" role="status">${words.visible(one)}</p>`,
  );
  if (!events.length)
    return html`<div class="found">
        <${Nothing} what=${q ? "No events match" : "No events"} window=${{ ...window, ...span }}>
          ${
            q
              ? html`<p>or <a href=${href("/search", { ...here().params, q: null })}>clear the query</a>.
                </p>`
              : html`<${Begin} />`
          }</${Nothing}>${hints}</div>`;
  return html`<div class="found">${hints}
      <p class="summary" role="status">
        ${words.count(events.length)} of ${total === null ? "…" : words.count(total)} shown, <button type="button"
          class="quiet" aria-label=${`${order} first; reverse the order`}
          onClick=${() => patch({ order: order === "newest" ? "oldest" : null })}>${order} first ⇅</button>
        <a class="pill" href=${href("/tail", { q })}>Follow</a></p>
      <${List} events=${whole ? events : events.slice(0, ROWS_FIRST)} chosen=${chosen} onChoose=${choose} label="Events"
        delta=${order === "newest"} />
      ${
        !whole
          ? null
          : last?.next
            ? html`<p class="end" ref=${end}>
                ${
                  events.length >= ROWS_MOST
                    ? html`<${Notice}>
                        The list shows up to ${words.count(ROWS_MOST)} events. Narrow the time range, or export all.
                      </${Notice}>`
                    : ""
                }
                <button type="button" onClick=${load} disabled=${more}>${more ? "Loading…" : "More"}</button>
              </p>`
            : html`<p class="end soft">End of results.</p>`
      }</div>`;
}

/** The fields of the result: values with their shares, numbers as a histogram. @param {any} given */
function Panel({ q, span, chosen, choose, total }) {
  const [typed, setTyped] = useState("");
  const [open, setOpen] = useState("");
  const names = useAnswer("fields", async () => {
    await idle();
    return known();
  });
  const wide = matchMedia("(min-width: 1180px)").matches;
  const first = [
    "service.node.name",
    "http.response.status_code",
    "http.route",
    "http.request.method",
    "event.duration",
    "log.level",
    "error.type",
    "event.dataset",
  ];
  const rank = (/** @type {any} */ one) => {
    const at = first.indexOf(one.name);
    return at < 0 ? (one.name.includes("labels.") ? 50 : 100) : at;
  };
  const shown = (names.data ?? [])
    .filter((one) => one.name.toLowerCase().includes(typed.toLowerCase()))
    .sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
  return html`<details class="panel" open=${wide}><summary>Fields</summary>
      <input type="text" aria-label="Find a field" placeholder="Find a field" value=${typed}
        onInput=${(/** @type {any} */ event) => setTyped(event.target.value)} />
      <ul>${shown.slice(0, typed ? 60 : 40).map(
        (one) => html`<li key=${one.name}>
            <div class="field">
              <button type="button" class="quiet name" aria-expanded=${open === one.name}
                onClick=${() => setOpen(open === one.name ? "" : one.name)}><${Text} value=${one.name} most=${60} />
              </button>
              <button type="button" class="icon" aria-pressed=${chosen.includes(one.name)}
                aria-label=${`Column ${words.short(one.name, 60)}`} title="Show as a column"
                onClick=${() => choose(one.name)}>▥
              </button></div>
            ${open === one.name && html`<${Values} field=${one} q=${q} span=${span} total=${total} />`}</li>`,
      )}</ul>
      ${!typed && shown.length > 40 && html`<p class="soft">${shown.length - 40} more: type to filter</p>`}
    </details>`;
}

/** @param {any} given */
function Values({ field, q, span, total }) {
  const numeric =
    ["integer", "number"].includes(field.type) &&
    field.name !== "http.response.status_code" &&
    !/\.(slot|pid|port)$/.test(field.name);
  const values = useAsk(numeric || field.type === "text" || field.type === "date" ? null : "top", {
    q,
    field: field.name,
    limit: 10,
    ...within(span),
  });
  if (numeric) return html`<${Spread} field=${field.name} q=${q} span=${span} />`;
  if (field.type === "text" || field.type === "date")
    return html`<p class="soft">Text and times have no top values: search for words instead.</p>`;
  if (values.error) return html`<p class="bad">${words.visible(values.error.message)}</p>`;
  if (!values.data) return html`<p class="soft">…</p>`;
  return html`<ol class="values">${values.data.values.map((/** @type {any} */ one) => {
    const value = field.type === "integer" ? Number(one.value) : one.value;
    return html`<li><span class="value"><${Text} value=${String(one.value)} most=${60} /></span>
        <span class="n soft" title=${words.count(one.events)}>${words.share(one.events, total ?? one.events)}</span>
        <button type="button" class="icon" aria-label=${`Only ${words.short(String(one.value), 40)}`}
          onClick=${() => filter(field.name, value, true)}>+</button>
        <button type="button" class="icon" aria-label=${`All but ${words.short(String(one.value), 40)}`}
          onClick=${() => filter(field.name, value, false)}>−</button></li>`;
  })}${!values.data.values.length && html`<li class="soft">No matching event has this field.</li>`}</ol>`;
}

const SPREAD_BARS = 12;

/** @param {{field: string, q: string, span: {since: number, until: number}}} given */
function Spread({ field, q, span }) {
  const result = useAnswer(`spread ${field} ${q} ${span.since} ${span.until}`, async (signal) => {
    const [stat] = (await ask("stats", { q, field, ...within(span) }, signal)).stats;
    if (!stat || !stat.count) return null;
    const low = Math.max(stat.min, stat.max > 1000 ? stat.max / 1e7 : 0),
      log = low > 0 && stat.max / low > 20;
    const edge = (/** @type {number} */ n) =>
      log ? low * (stat.max / low) ** (n / SPREAD_BARS) : stat.min + ((stat.max - stat.min) * n) / SPREAD_BARS;
    const edges = Array.from({ length: SPREAD_BARS + 1 }, (_, n) => Math.round(edge(n)));
    const counts =
      stat.max > stat.min
        ? await Promise.all(
            edges.slice(0, -1).map(async (from, n) => {
              if (n && edges[n + 1] === from) return 0;
              const name = literal(field),
                least = n ? `${name} >= ${from} and ` : "",
                most = n < SPREAD_BARS - 1 ? `${name} < ${edges[n + 1]}` : `${name} >= ${from}`;
              return (
                await ask(
                  "count",
                  { q: all(q, n < SPREAD_BARS - 1 ? `${least}${most}` : most), ...within(span) },
                  signal,
                )
              ).count;
            }),
          )
        : [stat.count];
    return { stat, counts };
  });
  if (result.error) return html`<p class="bad">${words.visible(result.error.message)}</p>`;
  if (!result.data) return html`<p class="soft">${result.loading ? "…" : "No matching event has this field."}</p>`;
  const { stat, counts } = result.data;
  const say = (/** @type {number} */ n) => words.inUnit(field, n);
  return html`<div class="spread">${charts.small({ counts, width: 220, height: 44 })}
      <p class="ends soft"><span>${say(stat.min)}</span><span>${say(stat.max)}</span></p>
      <p>p50 <strong>${say(stat.p50)}</strong>, p99 <strong>${say(stat.p99)}</strong> of ${words.count(stat.count)}</p>
      <p><button type="button" class="quiet"
          onClick=${() =>
            go(
              href("/search", {
                ...here().params,
                q: all(q, `${literal(field)} >= ${Math.floor(stat.p99)}`),
                event: null,
              }),
            )}>Only above p99</button></p></div>`;
}
