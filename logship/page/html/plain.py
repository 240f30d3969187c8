"""The page without JavaScript: workers, a search and its export, made on the server."""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, Final
from urllib.parse import urlencode

from logship.errors import QuestionError
from logship.forensics.states import worker_state
from logship.forensics.workers import WorkerRow, workers
from logship.page.api.params import RequestParams
from logship.page.html.templates import render
from logship.search.kql import equal, every, parse, text_of
from logship.search.query import Page, Query, Record, Source
from logship.search.views import SERVED

ROWS: Final = 50
SPANS: Final = ("5m", "15m", "1h", "6h", "24h", "7d")
REQUESTS: Final = parse(SERVED)
STATE_CLASSES: Final = {"alive": "good", "lost": "bad", "silent": "warn"}
LEVEL_CLASSES: Final = {"error": "bad", "critical": "bad", "warning": "warn"}


def plain_page(source: Source, given: Mapping[str, str], now_ns: int, zone: tzinfo) -> str:
    """Return the page for `q` (KQL), `last` or `since` and `until`, and `after` (the next page of the list).

    An invalid query is shown on the page, not raised."""
    last = given.get("last") or ("" if given.get("since") else SPANS[1])
    times = {name: given[name] for name in ("since", "until") if given.get(name)} | ({"last": last} if last else {})
    text = given.get("q", "")
    values: dict[str, Any] = {"q": text, "times": times, "spans": _spans(last), "error": ""}
    try:
        params = RequestParams({"q": text, "after": given.get("after", "")} | times, now_ns, zone)
        query = params.query()
        values["workers"] = [_worker(row, times) for row in workers(source, query.since_ns or 0, query.until_ns or now_ns)]
        values |= _list(source, query, text, times, params.maybe("after"))
    except QuestionError as error:
        values["error"] = str(error)
    return render("plain.html", **values)


def _spans(last: str) -> list[str]:
    return list(SPANS) if last in SPANS else [last, *SPANS]


def _worker(row: WorkerRow, times: Mapping[str, str]) -> dict[str, Any]:
    return {
        "row": row,
        "events": _address(text_of(equal("service.node.name", row.node)), times),
        "state": worker_state(row.state),
        "state_class": STATE_CLASSES.get(row.state, "soft"),
    }


def _list(source: Source, query: Query, text: str, times: Mapping[str, str], after: str | None) -> dict[str, Any]:
    """Return what the list of events shows: those of the query, or the newest requests if there is no query."""
    where = query.where if text.strip() else every(query.where, REQUESTS)
    rows = source.search(Query(where, query.since_ns, query.until_ns), Page(ROWS, after=after))
    exported = {"q": text_of(where), **times}
    return {
        "title": "Newest matching events" if text.strip() else "Newest requests",
        "events": [_event(record, times) for record in rows.records],
        "older": _address(text, times, after=rows.next) if rows.next else "",
        "exports": {
            form.upper(): "/api/export?" + urlencode(exported | {"format": form}) for form in ("ndjson", "csv")
        },
    }


def _event(record: Record, times: Mapping[str, str]) -> dict[str, Any]:
    request, ns = str(record.get("http.request.id", "")), record.get("event.duration")
    status = record.get("http.response.status_code")
    return {
        "time": str(record.get("@timestamp", ""))[:23].replace("T", " "),
        "slot": record.get("logship.worker.slot"),
        "status": status,
        "status_class": _status_class(status),
        "duration_ns": ns if isinstance(ns, int | float) else None,
        "message": record.get("message", ""),
        "level_class": LEVEL_CLASSES.get(str(record.get("log.level", "")), ""),
        "request": request,
        "request_events": _address(text_of(equal("http.request.id", request)), times),
    }


def _status_class(status: object) -> str:
    if not isinstance(status, int):
        return ""
    return "bad" if status >= 500 else "warn" if status >= 400 else "good"


def _address(q: str, times: Mapping[str, str], **more: str) -> str:
    return "/plain?" + urlencode({"q": q, **times, **more})
