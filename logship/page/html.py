"""The start page: workers, newest requests, a search box. Made on the server, without a line of JavaScript."""

from collections.abc import Mapping
from datetime import tzinfo
from html import escape
from urllib.parse import urlencode

from logship.errors import QuestionError
from logship.forensics.workers import WorkerRow, workers
from logship.page.asked import Asked
from logship.search.kql import equal, every, text_of
from logship.search.query import Page, Query, Record, Rows, Source

ROWS = 50
SPANS = ("5m", "15m", "1h", "6h", "24h", "7d")
SLOT = "logship.worker.slot"
REQUESTS = equal("event.dataset", "logship.request")

STYLE = """
:root { --ink: #1c2430; --soft: #66707f; --line: #e3e7ec; --paper: #fff; --wash: #f6f8fa; --accent: #0b6bcb;
  --good: #1a7f4b; --bad: #c0322b; --warn: #a86100; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #98a2b0; --line: #2b323c; --paper: #14181d;
  --wash: #1b2027; --accent: #6cb2ff; --good: #57c98c; --bad: #ff7b72; --warn: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1.5rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink);
  background: var(--paper); }
header { display: flex; align-items: baseline; gap: 1rem; flex-wrap: wrap; }
h1 { font-size: 1.3rem; margin: 0; letter-spacing: -.01em; }
h1 a { color: inherit; text-decoration: none; }
h2 { font-size: .8rem; text-transform: uppercase; letter-spacing: .06em; color: var(--soft); margin: 2rem 0 .5rem; }
p { margin: .3rem 0; } .soft { color: var(--soft); }
form { display: flex; gap: .5rem; margin: 1.2rem 0 0; flex-wrap: wrap; }
input, select, button { font: inherit; color: inherit; padding: .45rem .7rem; border: 1px solid var(--line);
  border-radius: .4rem; background: var(--paper); }
input { flex: 1; min-width: 16rem; font-family: ui-monospace, monospace; font-size: .9em; }
button { background: var(--accent); border-color: var(--accent); color: var(--paper); cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .9em; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { background: var(--wash); font-weight: 600; color: var(--soft); } tr:last-child td { border-bottom: 0; }
td.n, th.n { text-align: right; } td.wide { white-space: normal; overflow-wrap: anywhere; min-width: 18rem; }
td a { color: var(--accent); text-decoration: none; } td a:hover { text-decoration: underline; }
code { font-family: ui-monospace, monospace; font-size: .92em; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.note { padding: .8rem 1rem; border-radius: .5rem; background: var(--wash); border: 1px solid var(--line); }
"""


def start_page(source: Source, given: Mapping[str, str], now_ns: int, zone: tzinfo) -> str:
    """The page as HTML for the parameters `q` (KQL) and `last` (a span). A wrong question is shown, not raised."""
    text, last = given.get("q", ""), given.get("last") or "15m"
    try:
        query = Asked({"q": text, "last": last}, now_ns, zone).query()
        body = _workers(source, query, now_ns, last) + _events(source, query, text)
    except QuestionError as error:
        body = f'<p class="note bad">{escape(str(error))}</p>'
    return _frame(_form(text, last) + body)


def _workers(source: Source, query: Query, now_ns: int, last: str) -> str:
    rows = workers(source, query.since_ns or 0, now_ns)
    if not rows:
        return (
            '<h2>Workers</h2><p class="note">No worker was heard of in this time. Start one with '
            "<code>logship run uvicorn shop:app --workers 4</code>, or put <code>import logship.auto</code> "
            "first into your application.</p>"
        )
    heads = (
        "Worker",
        "State",
        "Life|n",
        "Process|n",
        "Requests|n",
        "a second|n",
        "Median|n",
        "p99|n",
        "Errors|n",
        "Lost|n",
    )
    return "<h2>Workers</h2>" + _table(heads, [_worker(one, last) for one in rows])


def _worker(one: WorkerRow, last: str) -> list[str]:
    its_events = urlencode({"q": text_of(equal("service.node.name", one.node)), "last": last})
    kind = {"alive": "good", "lost": "bad", "silent": "warn"}.get(one.state, "soft")
    return [
        f'<a href="/?{escape(its_events)}">{escape(one.node)}</a>',
        f'<span class="{kind}">{escape(one.state)}</span>',
        f"n|{_maybe(one.generation)}",
        f"n|{_maybe(one.pid)}",
        f"n|{one.requests:,}",
        f"n|{one.requests_per_second:,.1f}",
        f"n|{_span(one.p50_ms * 1e6) if one.p50_ms is not None else ''}",
        f"n|{_span(one.p99_ms * 1e6) if one.p99_ms is not None else ''}",
        f'n|<span class="{"bad" if one.errors else ""}">{one.errors:,}</span>',
        f'n|<span class="{"bad" if one.dropped else ""}">{one.dropped:,}</span>',
    ]


def _events(source: Source, query: Query, text: str) -> str:
    where = query.where if text.strip() else every(query.where, REQUESTS)
    rows = source.search(Query(where, query.since_ns, query.until_ns), Page(ROWS))
    title = "Newest events found" if text.strip() else "Newest requests"
    if not rows.records:
        return f'<h2>{title}</h2><p class="note">Nothing in this time. A longer span, or another question?</p>'
    heads = ("Time", "Worker|n", "Status|n", "Took|n", "Message", "Request")
    return f"<h2>{title}</h2>" + _table(heads, [_event(one) for one in rows.records]) + _more(rows)


def _event(record: Record) -> list[str]:
    status, duration = record.get("http.response.status_code"), record.get("event.duration")
    request = str(record.get("http.request.id", ""))
    its_events = urlencode({"q": text_of(equal("http.request.id", request)), "last": "7d"})
    level = str(record.get("log.level", ""))
    mark = "bad" if level in {"error", "critical"} else "warn" if level == "warning" else ""
    return [
        f"<code>{escape(str(record.get('@timestamp', ''))[:23].replace('T', ' '))}</code>",
        f"n|{_maybe(record.get(SLOT))}",
        f'n|<span class="{_status_class(status)}">{_maybe(status)}</span>',
        f"n|{_span(duration) if isinstance(duration, int | float) else ''}",
        f'wide|<span class="{mark}">{escape(str(record.get("message", ""))[:500])}</span>',
        f'<a href="/?{escape(its_events)}"><code>{escape(request[:12])}</code></a>' if request else "",
    ]


def _status_class(status: object) -> str:
    if not isinstance(status, int):
        return ""
    return "bad" if status >= 500 else "warn" if status >= 400 else "good"


def _more(rows: Rows) -> str:
    return f'<p class="soft">The newest {ROWS}; there are more.</p>' if rows.next else ""


def _form(text: str, last: str) -> str:
    spans = SPANS if last in SPANS else (last, *SPANS)
    chosen = "".join(f"<option{' selected' if one == last else ''}>{escape(one)}</option>" for one in spans)
    return (
        '<form action="/" method="get" role="search">'
        f'<input name="q" value="{escape(text)}" aria-label="Question in KQL" autofocus '
        'placeholder="http.response.status_code &gt;= 500 and url.path: /orders*">'
        f'<select name="last" aria-label="How far back">{chosen}</select><button>Search</button></form>'
    )


def _table(heads: tuple[str, ...], rows: list[list[str]]) -> str:
    head = "".join(_cell("th", *reversed(one.partition("|")[::2])) for one in heads)
    body = "".join("<tr>" + "".join(_cell("td", *_class_and_text(cell)) for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _class_and_text(cell: str) -> tuple[str, str]:
    kind, bar, text = cell.partition("|")
    return (kind, text) if bar and kind in {"n", "wide"} else ("", cell)


def _cell(tag: str, kind: str, text: str) -> str:
    return f'<{tag} class="{kind}">{text}</{tag}>' if kind else f"<{tag}>{text}</{tag}>"


def _maybe(value: object) -> str:
    return "" if value is None else escape(str(value))


def _span(ns: float) -> str:
    """Nanoseconds as people read them: 950 us, 12 ms, 3.4 s."""
    if ns < 1e6:
        return f"{ns / 1e3:.0f} µs"
    return f"{ns / 1e6:.1f} ms" if ns < 1e9 else f"{ns / 1e9:.2f} s"


def _frame(body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>logship</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="/style.css">'
        '</head><body><header><h1><a href="/">logship</a></h1>'
        '<span class="soft">what every worker did</span></header><main>'
        f"{body}</main></body></html>"
    )
