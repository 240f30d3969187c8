// The frame around every view: navigation, the time window, the delivery check, and the keys.
import { render } from "./vendor/preact.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { html } from "./html.js";
import { patterns } from "./charts.js";
import { ask, idle, useAnswer, within } from "./api.js";
import { DamageBanner } from "./damage.js";
import { copy, Notice } from "./parts.js";
import { exactly, go, here, href, patch, permanent, toggleLive, usePlace, useWindow, windowOf, zoneOf } from "./url.js";
import { asNs, fromInput, range, spanOf, spanWords, toInput, zoneWords } from "./time.js";
import * as words from "./words.js";
import { isCommand, Keys } from "./keys.js";

// A view is loaded when it is opened; the head of the page preloads the first one.
/** @type {Record<string, () => Promise<any>>} */
const VIEWS = {
  overview: () => import("./overview.js"),
  search: () => import("./search.js"),
  tail: () => import("./tail.js"),
  request: () => import("./request.js"),
  worker: () => import("./worker.js"),
  event: () => import("./event.js"),
  account: () => import("./account.js"),
  incident: () => import("./incident.js"),
  panels: () => import("./panels.js"),
  errors: () => import("./errors.js"),
  patterns: () => import("./patterns.js"),
};

/** The view of an address. @param {string} path @returns {{name: string, id: string}} */
export function route(path) {
  const [, first = "", ...rest] = path.split("/");
  const id = rest.join("/");
  const named = {
    "": "overview",
    search: "search",
    tail: "tail",
    r: "request",
    w: "worker",
    e: "event",
    i: "incident",
    account: "account",
    panels: "panels",
    errors: "errors",
    patterns: "patterns",
  }[first];
  return { name: named ?? "nowhere", id };
}

// Views that move with the clock.
const MOVING = ["overview", "worker", "panels", "incident", "errors", "patterns"];
const DAY = 86_400_000;
const SPANS = ["5m", "15m", "1h", "6h", "24h", "7d", "30d"];
const TABS = [
  ["/", "Overview"],
  ["/i", "Incident"],
  ["/search", "Search"],
  ["/tail", "Tail"],
  ["/panels", "Panels"],
  ["/errors", "Errors"],
  ["/patterns", "Patterns"],
];

function Time() {
  const { params } = usePlace();
  const window = useWindow();
  const zone = zoneOf(params);
  const [open, setOpen] = useState(false);
  // A new form each time the menu closes. The event comes late: a form that is in use must stay.
  const [shut, setShut] = useState(0);
  const box = useRef(/** @type {any} */ (null));
  const close = () => {
    setOpen(false);
    box.current?.querySelector("summary")?.focus();
  };
  useEffect(() => {
    if (!open) return undefined;
    const away = (/** @type {any} */ event) => {
      if (!box.current?.contains(event.target)) setOpen(false);
    };
    addEventListener("pointerdown", away);
    return () => removeEventListener("pointerdown", away);
  }, [open]);
  const submit = (/** @type {any} */ event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    const typed = String(given.get("last") ?? "").trim();
    if (typed && spanOf(typed)) patch({ last: typed, since: null, until: null });
    else {
      const since = fromInput(String(given.get("since")), zone),
        until = fromInput(String(given.get("until")), zone);
      if (!(until > since)) {
        event.target.querySelector("[role=alert]").textContent = "The end must be after the start.";
        return;
      }
      patch(exactly({ since, until }));
    }
    close();
  };
  const label = params.since ? range(window.since, window.until, zone) : `Last ${spanWords(window.span)}`;
  const moved = (/** @type {number} */ by) =>
    patch(exactly({ since: window.since + by * window.span, until: window.until + by * window.span }));
  return html`<div class="time">
      <button type="button" class="icon" aria-label="Earlier" aria-keyshortcuts="[" onClick=${() => moved(-0.5)}>‹
      </button>
      <details class="menu" ref=${box} open=${open} onToggle=${(/** @type {any} */ event) => {
        setOpen(event.target.open);
        if (!event.target.open) setShut(shut + 1);
      }} onKeyDown=${(/** @type {any} */ event) => {
        if (event.key === "Escape" && open) {
          event.stopPropagation();
          close();
        }
      }}>
        <summary aria-label=${`Time: ${label}`}><span class="ellipsis">${label}</span></summary>
        <form class="pop" onSubmit=${submit} key=${shut}>
          <div class="pills">
            ${SPANS.map(
              (last) => html`<a class=${`pill ${!params.since && (params.last ?? "15m") === last ? "on" : ""}`}
                  href=${href(here().path, { ...params, last, since: null, until: null })} onClick=${close}>${last}
                </a>`,
            )}</div>
          <label>Last <input name="last" placeholder="90s, 45m, 3h" autocomplete="off" /></label>
          <p class="soft">or from and to, in ${zoneWords(window.since, zone)}</p>
          <label>From <input type="datetime-local" name="since" step="1" value=${toInput(window.since, zone)} /></label>
          <label>To <input type="datetime-local" name="until" step="1" value=${toInput(window.until, zone)} /></label>
          <p class="bad" role="alert"></p>
          <div class="row-of"><button type="submit" class="primary">Apply</button>
            <button type="button" onClick=${() => zoomed(2)} aria-keyshortcuts="Z">Zoom out 2×</button></div>
        </form></details>
      <button type="button" class="icon" aria-label="Later" aria-keyshortcuts="]" onClick=${() => moved(0.5)}>›</button>
    </div>`;
}

/** Scale the time range around its middle. @param {number} factor */
function zoomed(factor) {
  const window = windowOf(here().params, Date.now());
  const middle = (window.since + window.until) / 2,
    half = Math.max((window.span * factor) / 2, 1);
  patch(exactly({ since: middle - half, until: Math.min(middle + half, Date.now() + 1000) }));
}

function Live() {
  const window = useWindow();
  return html`<button type="button" class=${`live ${window.live ? "on" : ""}`} aria-pressed=${window.live}
      aria-keyshortcuts="Space" onClick=${() => toggleLive(window)}
      title=${window.live ? "Pause (Space)" : "Resume (Space)"}><span class="dot" aria-hidden="true"></span>
      ${window.live ? "Live" : "Paused"}</button>`;
}

function Zone() {
  const { params } = usePlace();
  const zone = zoneOf(params);
  return html`<button type="button" class="quiet zone" aria-keyshortcuts="u"
      aria-label=${`Times are ${zone === "utc" ? "in UTC" : `local, ${zoneWords(Date.now(), zone)}`}; switch`}
      onClick=${() => patch({ zone: zone === "utc" ? "local" : null })}>${zoneWords(Date.now(), zone)}</button>`;
}

/** The selector of a service, if there are several on the days of the time range and the day before: the query must not
 * take longer because the store has months of events. */
function Service() {
  const { params } = usePlace();
  const window = useWindow(30);
  const since = (Math.floor(window.since / DAY) - 1) * DAY;
  const until = Math.ceil(window.until / DAY) * DAY;
  const { data } = useAnswer(`services ${since} ${until}`, async (signal) => {
    await idle();
    const days = { since_ns: asNs(since), until_ns: asNs(until) };
    return (await ask("top", { field: "service.name", limit: 100, ...days }, signal)).values;
  });
  const names = (data ?? []).map((/** @type {any} */ one) => one.value).sort();
  if (params.service && !names.includes(params.service)) names.push(params.service);
  if (names.length < 2 && !params.service) return null;
  return html`<select class="service" aria-label="Service" value=${params.service ?? ""}
      onChange=${(/** @type {any} */ event) => patch({ service: event.target.value || null })}>
      <option value="">All services</option>
      ${names.map((/** @type {string} */ one) => html`<option value=${one}>${words.short(one, 40)}</option>`)}
    </select>`;
}

/** The result of the delivery check in a few words, as a link to its page. */
function Delivery() {
  const window = useWindow(30);
  // Queried twice a minute, after what the view needs.
  const span = within({
    since: window.since - (window.since % 30000),
    until: window.live ? Math.ceil(window.until / 30000) * 30000 : window.until,
  });
  const { data, error } = useAnswer(`delivery ${span.since_ns} ${span.until_ns}`, async (signal) => {
    await idle();
    const first = await ask("verify", span, signal);
    if (first.finding !== "missing") return first;
    // Events in transit look like missing ones for a moment: the second check decides.
    await new Promise((done) => {
      setTimeout(done, 3000);
    });
    return ask("verify", span, signal);
  });
  const [kind, sign, text] = error
    ? ["warn", "?", "not known"]
    : data
      ? [...(LEVELS[data.delivery.level] ?? LEVELS.warning), data.delivery.label]
      : ["soft", "…", "checking"];
  return html`<a class=${`badge ${kind}`} href=${href("/account")}
      aria-label=${`Delivery check: ${text}. Open the verdict per worker`}><span aria-hidden="true">${sign}
      </span> ${words.visible(text)}</a>`;
}

/** @type {Record<string, [string, string]>} */
const LEVELS = { good: ["good", "✓"], warning: ["warn", "?"], critical: ["bad", "!"], none: ["soft", "–"] };

/** The first view by its name. @type {Record<string, any>} */
const first = {};

function View() {
  const { path } = usePlace();
  const { name, id } = route(path);
  const [loaded, setLoaded] = useState(first);
  const [failed, setFailed] = useState("");
  useEffect(() => {
    if (loaded[name] || !VIEWS[name]) return;
    VIEWS[name]().then(
      (module) => setLoaded((old) => ({ ...old, [name]: module.View })),
      () => setFailed(name),
    );
  }, [name]);
  if (name === "nowhere")
    return html`<${Notice}><p>Not found: <code>${words.short(path, 100)}</code></p><p><a href=${href("/")}>Overview</a>
        </p></${Notice}>`;
  if (failed === name)
    return html`<${Notice} kind="bad">
        <p>This view did not load: the collector was restarted with another version, or is unreachable.</p>
        <p><a href=${location.href} target="_self" data-plain>Reload the page</a></p></${Notice}>`;
  return loaded[name]
    ? html`<${loaded[name]} id=${id} key=${name + id} />`
    : html`<div class="waiting" role="status">Loading…</div>`;
}

function Page() {
  const { path } = usePlace();
  const [help, setHelp] = useState(false);
  const [toast, setToast] = useState("");
  useKeys(setHelp, setToast);
  useEffect(() => {
    if (!toast) return undefined;
    const timer = setTimeout(() => setToast(""), 2000);
    return () => clearTimeout(timer);
  }, [toast]);
  const { name } = route(path);
  return html`${patterns()}<a class="skip" href="#main" data-plain>Skip to content</a>
    <header class="top">
      <a class="logo" href=${href("/")}>
        <svg width="22" height="22" viewBox="0 0 24 24" aria-hidden="true"><path d="M3 15h18l-3 5H6z" />
          <path d="M11 3h2v10h-2z" /><path d="M14 4l6 8h-6zM10 7v5H5z" /></svg>logship</a>
      <nav aria-label="Views">
        ${TABS.map(
          ([to, text]) => html`<a href=${href(to)} aria-current=${route(to).name === name ? "page" : undefined}>
              ${text}</a>`,
        )}</nav>
      <div class="tools"><${Service} /><${Time} />
        ${MOVING.includes(name) ? html`<${Live} />` : null}<${Zone} />
        <${Delivery} />
        <button type="button" class="icon" aria-label="Keyboard shortcuts" aria-keyshortcuts="?"
          onClick=${() => setHelp(true)}>?</button></div></header>
    <main id="main" tabindex="-1"><${DamageBanner} /><${View} /></main>
    ${help && html`<${Keys} close=${() => setHelp(false)} />`}
    <div class="toast" role="status">${toast}</div>`;
}

/** Keys that work in every view. @param {(on: boolean) => void} setHelp @param {(said: string) => void} setToast */
function useKeys(setHelp, setToast) {
  useEffect(() => {
    const key = (/** @type {KeyboardEvent} */ event) => {
      const target = /** @type {HTMLElement} */ (event.target);
      if (!isCommand(event)) return;
      const typing = target.matches("input, textarea, select, [contenteditable]");
      if (typing) {
        if (event.key === "Escape") {
          target.blur();
          document.getElementById("main")?.focus();
        }
        return;
      }
      const window = windowOf(here().params, Date.now());
      const moved = (/** @type {number} */ by) =>
        patch(exactly({ since: window.since + by * window.span, until: window.until + by * window.span }));
      const pressable = target.matches("button, a, summary, [role=button], [role=slider]");
      const name = route(here().path).name;
      /** @type {Record<string, () => void>} */
      const does = {
        "?": () => setHelp(true),
        "/": () => {
          const box = /** @type {HTMLElement | null} */ (document.querySelector("[data-question]"));
          if (box) box.focus();
          else go(href("/search"));
        },
        "[": () => moved(-0.5),
        "]": () => moved(0.5),
        z: () => zoomed(0.5),
        Z: () => zoomed(2),
        u: () => patch({ zone: zoneOf(here().params) === "utc" ? "local" : null }),
        y: () => {
          copy(link()).then((said) => setToast(said === "copied" ? "Link copied, with absolute times" : said));
        },
        1: () => go(href("/")),
        2: () => go(href("/search")),
        3: () => go(href("/tail")),
        4: () => go(href("/panels")),
        5: () => go(href("/i")),
        6: () => go(href("/errors")),
        7: () => go(href("/patterns")),
        0: () => go(href("/account")),
      };
      if (event.key === " " && !pressable && MOVING.includes(name)) does[" "] = () => toggleLive(window);
      if (!does[event.key]) return;
      event.preventDefault();
      does[event.key]();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
}

/** A link to the open event, or to this view with absolute times. */
function link() {
  const open =
    document.querySelector("[data-event][aria-expanded=true]") ?? document.activeElement?.closest("[data-event]");
  const id = open?.getAttribute("data-event");
  if (id) return `${location.origin}/e/${encodeURIComponent(id)}`;
  return ["request", "event"].includes(route(here().path).name)
    ? location.href
    : permanent(windowOf(here().params, Date.now()));
}

// Links within the page change the view without loading it; with a modifier key the browser handles them.
addEventListener("click", (event) => {
  const found = /** @type {HTMLElement} */ (event.target).closest?.("a[href]");
  if (
    !(found instanceof HTMLAnchorElement) ||
    event.defaultPrevented ||
    event.button ||
    event.ctrlKey ||
    event.metaKey ||
    event.shiftKey ||
    event.altKey
  )
    return;
  if (
    found.origin !== location.origin ||
    found.hasAttribute("data-plain") ||
    found.hasAttribute("download") ||
    found.pathname.startsWith("/api/")
  )
    return;
  event.preventDefault();
  go(found.pathname + found.search);
});

// The first view is loaded before the first drawing, so that its requests start with it.
await VIEWS[route(here().path).name]?.().then(
  (module) => {
    first[route(here().path).name] = module.View;
  },
  () => {},
);
const root = /** @type {HTMLElement} */ (document.getElementById("app"));
root.textContent = "";
render(html`<${Page} />`, root);
