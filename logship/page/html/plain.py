"""What a browser loads: the shell of the page, its files by the hash of their content, and a page made here.

The shell holds no data and no code: `static/main.js` asks the interface. Without JavaScript the browser goes on to
`/plain`: search, list and export, made on the server."""

import gzip
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import urlencode

from logship.errors import QuestionError
from logship.forensics.workers import WorkerRow, workers
from logship.page.api.params import RequestParams
from logship.search.kql import equal, every, parse, text_of
from logship.search.query import Page, Query, Record, Rows, Source
from logship.search.units import duration
from logship.search.views import SERVED

STATIC = Path(__file__).parents[1] / "static"
TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
# Scripts and styles from here alone, none inline, and no text may become markup or code (trusted types).
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
# The name of a file changes with its content, so that a browser never has to ask whether it is still the same.
FOREVER = "private, max-age=31536000, immutable"
# The module of each view, by the first part of its address.
VIEWS = {
    "": "overview",
    "search": "search",
    "tail": "tail",
    "r": "request",
    "w": "worker",
    "e": "event",
    "account": "account",
    "panels": "panels",
}
# Times as the page writes them into addresses; others are left to the page.
_EXACT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", re.ASCII)
_LAST = re.compile(r"(\d{1,4})([smhd])", re.ASCII)
SPAN_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# The addresses of views, as routes.
PLACES = ("/", "/search", "/tail", "/account", "/panels", "/panels/{name}", "/r/{id:path}", "/w/{id:path}", "/e/{id:path}")

ROWS = 50
SPANS = ("5m", "15m", "1h", "6h", "24h", "7d")
SLOT = "logship.worker.slot"
REQUESTS = parse(SERVED)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent: as it is, and packed for browsers that take it so, which is all of them."""

    type: str
    body: bytes

    @property
    def packed(self) -> bytes:
        return _packed(self.body)


@cache
def _packed(body: bytes) -> bytes:
    """Packed when it is first asked for: all together would keep the first visitor waiting."""
    return gzip.compress(body, 9, mtime=0)


@cache
def assets() -> tuple[str, Mapping[str, Asset]]:
    """Return the hash of all files of the page together, and the files by their path. Read once a process.

    Beside the files as they are: `first/VIEW.js`, all that a view needs when it is the first, and `then/VIEW.js`, what
    the frame around every view has not brought."""
    files = [path for path in sorted(STATIC.rglob("*")) if path.suffix in TYPES]
    texts = {path.relative_to(STATIC).as_posix(): path.read_bytes() for path in files}
    frame = needed("main")
    for view in VIEWS.values():
        rest = [name for name in needed(view) if name not in frame]
        texts[f"first/{view}.js"] = joined([*frame[:-1], *rest, "main"])
        texts[f"then/{view}.js"] = joined(rest)
    found = {name: Asset(TYPES[Path(name).suffix], body) for name, body in texts.items()}
    whole = hashlib.sha256(b"".join(f"{name} {len(body)} ".encode() + body for name, body in texts.items()))
    return whole.hexdigest()[:16], found


# The forms of import and export that the modules of the page have; tests say when there is another.
IMPORT = re.compile(r'^import ?(?:\{([^}]*)\}|\* as (\w+)|(\w+)) ?from ?"([^"]+)";', re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
EXPORTS = re.compile(r"\bexport ?\{([^}]*)\};?")
DEFAULT = re.compile(r"\bexport default(?= function\()")
AS = re.compile(r"([\w$]+) as (\w+)")
LAZY = re.compile(r'(?<==> )import\("\./(\w+)\.js"\)')


@cache
def _module(name: str) -> str:
    return (STATIC / f"{name}.js").read_text(encoding="utf-8")


def _imported(name: str, source: str) -> str:
    return (Path(name).parent / source).as_posix().removesuffix(".js")


def needed(name: str) -> list[str]:
    """Return the modules that a module of the page needs and the module itself, each behind what it needs itself."""
    found: dict[str, None] = {}

    def visit(one: str) -> None:
        if one not in found:
            for match in IMPORT.finditer(_module(one)):
                visit(_imported(one, match[4]))
            found[one] = None

    visit(name)
    return list(found)


def joined(names: Iterable[str]) -> bytes:
    """Return modules as one: each a function that is called once in a page, however many files bring it."""
    return "\n".join(["const modules = (globalThis.logship ??= {});", *map(_as_function, names)]).encode()


@cache
def _as_function(name: str) -> str:
    given: list[str] = []

    def taken(match: re.Match[str]) -> str:
        some, whole, default, source = match.groups()
        names = whole or (f"{{ default: {default} }}" if default else "{" + AS.sub(r"\1: \2", some) + "}")
        return f'const {names} = modules["{_imported(name, source)}"];'

    def offered(match: re.Match[str]) -> str:
        given.append(AS.sub(r"\2: \1", match[1]))
        return ""

    def named(match: re.Match[str]) -> str:
        given.append(match[1])
        return ""

    lazy = r'modules["\1"] ? Promise.resolve(modules["\1"]) : import("../then/\1.js").then(() => modules["\1"])'
    text = EXPORT.sub(named, EXPORTS.sub(offered, IMPORT.sub(taken, LAZY.sub(lazy, _module(name)))))
    if DEFAULT.search(text):
        text, given = DEFAULT.sub("const whole =", text), [*given, "default: whole"]
    if name == "main":  # It waits for the first view, as only the outermost level of a module may.
        return f"{{\n{text}}}"
    return f'modules["{name}"] ??= (() => {{\n{text}\nreturn {{ {", ".join(given)} }};\n}})();'


def asset(version: str, name: str, encodings: str) -> tuple[bytes, dict[str, str]] | None:
    """Return body and headers of a file for a browser that accepts `encodings`; None when there is none.

    A version that is not this one gets this one's file, which is not kept: a page loaded before an upgrade still works."""
    now, found = assets()
    one = found.get(name)
    if one is None:
        return None
    headers = {"content-type": one.type, "vary": "accept-encoding", "etag": f'"{now}"'}
    headers["cache-control"] = FOREVER if version == now else "no-store"
    if "gzip" in encodings:
        return one.packed, headers | {"content-encoding": "gzip"}
    return one.body, headers


def address(name: str) -> str:
    """Return the address of a file of the page."""
    return f"/static/{assets()[0]}/{name}"


def shell(path: str, given: Mapping[str, str], now_ns: int) -> str:
    """Return the page for every view: a head that names the file of the view at `path`, and a way on without JavaScript.

    A search is asked for in the head, so that its list is on its way while the browser still reads the page's files."""
    first, _, rest = path.removeprefix("/").partition("/")
    plain = "/plain?" + urlencode(_plain(first, rest, given))
    return (
        f"{_head('logship', _asked_ahead(given, now_ns // 10**6) if first == 'search' else '')}"
        f'<noscript><meta http-equiv="refresh" content="0; url={escape(plain)}"></noscript>'
        f'<script type="module" src="{address(f"first/{VIEWS[first]}.js")}"></script></head>'
        f'<body><div id="app"><p class="waiting">Loading… <a href="{escape(plain)}">The page without JavaScript</a></p>'
        "</div></body></html>"
    )


def _asked_ahead(given: Mapping[str, str], now_ms: int) -> str:
    """The first question of a search, letter by letter as `static/search.js` puts it; "" where it would have to guess."""
    since, until = given.get("since", ""), given.get("until", "")
    last = _LAST.fullmatch(given.get("last") or "15m")
    try:
        if _EXACT.fullmatch(since) and _EXACT.fullmatch(until):
            begin_ms, end_ms = _ms(since), _ms(until)
        elif not since and not until and last:
            begin_ms, end_ms = now_ms - int(last[1]) * SPAN_MS[last[2]], now_ms
        else:
            return ""
    except ValueError:  # the 31st of February
        return ""
    if begin_ms >= end_ms:
        return ""
    names = {"q": given["q"]} if given.get("q") else {}
    order = "oldest" if given.get("order") == "oldest" else "newest"
    names |= {"since_ns": f"{begin_ms}000000", "until_ns": f"{end_ms}000000"}
    names |= {"service": given["service"]} if given.get("service") else {}
    names |= {"limit": "100", "order": order}
    asked = "/api/search?" + urlencode(names, safe="*").replace("~", "%7E")
    return f'<meta name="now" content="{now_ms}"><link rel="preload" as="fetch" crossorigin="anonymous" href="{escape(asked)}">'


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _plain(first: str, rest: str, given: Mapping[str, str]) -> dict[str, str]:
    """What the page without JavaScript is asked instead of a view."""
    field = {"r": "http.request.id", "w": "service.node.name", "e": "event.id"}.get(first)
    kept = {name: given[name] for name in ("q", "last", "since", "until") if given.get(name)}
    if field and rest:
        kept |= {"q": text_of(equal(field, rest))} | ({} if "since" in kept else {"last": "30d"})
    return kept


def _head(title: str, first: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{first}<title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="{address("icon.svg")}"><link rel="stylesheet" href="{address("style.css")}">'
    )


def start_page(source: Source, given: Mapping[str, str], now_ns: int, zone: tzinfo) -> str:
    """Return the page without JavaScript for `q` (KQL), `last` or `since` and `until`, and `after`.

    A wrong question is shown, not raised."""
    text, last = given.get("q", ""), given.get("last") or ("" if given.get("since") else "15m")
    names = {name: given[name] for name in ("since", "until") if given.get(name)} | ({"last": last} if last else {})
    try:
        asked = RequestParams({"q": text, "after": given.get("after", "")} | names, now_ns, zone)
        query = asked.query()
        found = _workers(source, query, now_ns, names) + _events(source, query, text, names, asked.maybe("after"))
    except QuestionError as error:
        found = f'<div class="notice bad" role="alert">{escape(str(error))}</div>'
    return _frame(_form(text, names) + found)


def _workers(source: Source, query: Query, now_ns: int, names: Mapping[str, str]) -> str:
    rows = workers(source, query.since_ns or 0, query.until_ns or now_ns)
    if not rows:
        return (
            '<h2>Workers</h2><div class="notice">No worker was heard of in this time. Start one with '
            "<code>logship run uvicorn shop:app --workers 4</code>, or put <code>import logship.auto</code> "
            "first into your application.</div>"
        )
    heads = "Worker|State|Life n|Process n|Requests n|a second n|Median n|p99 n|Errors n|Lost n"
    return "<h2>Workers</h2>" + _table("Workers", heads, [_worker(one, names) for one in rows])


def _worker(one: WorkerRow, names: Mapping[str, str]) -> list[str]:
    its_events = urlencode({"q": text_of(equal("service.node.name", one.node)), **names})
    kind = {"alive": "good", "lost": "bad", "silent": "warn"}.get(one.state, "soft")
    return [
        f'<a href="/plain?{escape(its_events)}">{_text(one.node)}</a>',
        f'<span class="{kind}">{escape(one.state)}</span>',
        f"n|{_maybe(one.generation)}",
        f"n|{_maybe(one.pid)}",
        f"n|{one.requests:,}",
        f"n|{one.requests_per_second:,.1f}",
        f"n|{duration(one.p50_ms * 1e6) if one.p50_ms is not None else ''}",
        f"n|{duration(one.p99_ms * 1e6) if one.p99_ms is not None else ''}",
        f'n|<span class="{"bad" if one.errors else ""}">{one.errors:,}</span>',
        f'n|<span class="{"bad" if one.dropped else ""}">{one.dropped:,}</span>',
    ]


def _events(source: Source, query: Query, text: str, names: Mapping[str, str], after: str | None) -> str:
    where = query.where if text.strip() else every(query.where, REQUESTS)
    rows = source.search(Query(where, query.since_ns, query.until_ns), Page(ROWS, after=after))
    title = "Newest events found" if text.strip() else "Newest requests"
    if not rows.records:
        return f'<h2>{title}</h2><div class="notice">Nothing in this time. A longer span, or another question?</div>'
    asked = {"q": text_of(where), **names}
    export = " ".join(
        f'<a class="button" href="/api/export?{escape(urlencode(asked | {"format": form}))}">{form.upper()}</a>'
        for form in ("ndjson", "csv")
    )
    table = _table(title, "Time|Worker n|Status n|Took n|Message|Request", [_event(one, names) for one in rows.records])
    return f"<h2>{title}</h2>{table}{_more(rows, text, names)}<p>All that match: {export}</p>"


def _event(record: Record, names: Mapping[str, str]) -> list[str]:
    status, took = record.get("http.response.status_code"), record.get("event.duration")
    request = str(record.get("http.request.id", ""))
    its_events = urlencode({"q": text_of(equal("http.request.id", request)), **names})
    level = str(record.get("log.level", ""))
    mark = "bad" if level in {"error", "critical"} else "warn" if level == "warning" else ""
    return [
        f"<code>{_text(str(record.get('@timestamp', ''))[:23].replace('T', ' '))}</code>",
        f"n|{_maybe(record.get(SLOT))}",
        f'n|<span class="{_status_class(status)}">{_maybe(status)}</span>',
        f"n|{duration(took) if isinstance(took, int | float) else ''}",
        f'wide|<span class="{mark}">{_text(str(record.get("message", ""))[:500])}</span>',
        f'<a href="/plain?{escape(its_events)}"><code>{_text(request[:12])}</code></a>' if request else "",
    ]


def _status_class(status: object) -> str:
    if not isinstance(status, int):
        return ""
    return "bad" if status >= 500 else "warn" if status >= 400 else "good"


def _more(rows: Rows, text: str, names: Mapping[str, str]) -> str:
    if not rows.next:
        return ""
    onward = escape(urlencode({"q": text, **names, "after": rows.next}))
    return f'<p class="soft">{len(rows.records)} of them. <a href="/plain?{onward}">Older ones</a></p>'


def _form(text: str, names: Mapping[str, str]) -> str:
    last = names.get("last", "")
    spans = SPANS if last in SPANS else (last, *SPANS)
    chosen = "".join(f"<option{' selected' if one == last else ''}>{escape(one)}</option>" for one in spans if one or not last)
    kept = "".join(
        f'<label>{name} <input name="{name}" value="{escape(names[name])}"></label>'
        for name in ("since", "until")
        if name in names
    )
    return (
        '<form action="/plain" method="get" role="search">'
        f'<input name="q" type="text" value="{escape(text)}" aria-label="Question in KQL" '
        'placeholder="http.response.status_code &gt;= 500 and url.path: /orders*">'
        f'{kept}<select name="last" aria-label="How far back">{chosen}</select>'
        '<button class="primary">Search</button></form>'
    )


def _table(name: str, heads: str, rows: list[list[str]]) -> str:
    """A table; a head that ends in " n" is over numbers, a cell "n|" or "wide|" has that class."""
    head = "".join(
        f'<th scope="col" class="n">{one.removesuffix(" n")}</th>' if one.endswith(" n") else f'<th scope="col">{one}</th>'
        for one in heads.split("|")
    )
    body = "".join("<tr>" + "".join(_cell(*_class_and_text(cell)) for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll numbers" tabindex="0" role="region" aria-label="{name}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _class_and_text(cell: str) -> tuple[str, str]:
    kind, bar, text = cell.partition("|")
    return (kind, text) if bar and kind in {"n", "wide"} else ("", cell)


def _cell(kind: str, text: str) -> str:
    return f'<td class="{kind}">{text}</td>' if kind else f"<td>{text}</td>"


def _maybe(value: object) -> str:
    return "" if value is None else _text(str(value))


def _text(text: str) -> str:
    """Text of an event: escaped, in a direction of its own, with what cannot be seen written out."""
    shown = "".join(one if one.isprintable() else f"\u2039U+{ord(one):04X}\u203a" for one in text)
    return f"<bdi>{escape(shown)}</bdi>"


def _frame(body: str) -> str:
    return (
        f'{_head("logship")}</head><body class="plain"><header><h1><a class="logo" href="/plain">logship</a></h1>'
        '<p class="soft">What every worker did. <a href="/">The page with charts</a> needs JavaScript.</p></header>'
        f"<main>{body}</main></body></html>"
    )
