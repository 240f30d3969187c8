"""The parameters of an API request as values: the query, the page, and single parameters."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from time import time_ns
from typing import Final

from starlette.requests import Request

from logship.errors import QuestionError
from logship.page.context import PageContext
from logship.search.kql import equal, every, parse
from logship.search.query import Page, Query
from logship.search.times import parse_time, span
from logship.search.zone import LocalZone
from logship.state.living import Living

# A result is made in memory: 10,000 records of the largest size would be 640 MB, of the usual size 10 MB.
LIMIT_ROWS: Final = 10_000
# The rest of 64 bits is room for a span before or after it.
FAR_NS: Final = 9_200_000_000_000_000_000
QUERY_NAMES: Final = ("q", "service", "since", "until", "last", "since_ns", "until_ns")
# The window of reports if the client gives none.
DEFAULT_SPAN_NS: Final = 15 * 60 * 10**9


def params_of(request: Request, context: PageContext, names: Iterable[str]) -> "RequestParams":
    """Return the parameters of the path and the query string. QuestionError for a name not in `names`, or given twice."""
    given = request.query_params
    twice = [name for name, _ in given.multi_items() if len(given.getlist(name)) > 1]
    if twice:
        raise QuestionError(f"the parameter {twice[0]} is given more than once")
    params = RequestParams({**given, **request.path_params}, time_ns(), LocalZone(), context.live_workers)
    params.only(names)
    return params


class RequestParams:
    """The parameters of one request. Methods raise QuestionError with the name of a missing or invalid parameter.

    `now_ns`: what relative times refer to. `zone`: of times without an offset. `live_workers`: the running workers of this
    machine."""

    def __init__(
        self, given: Mapping[str, str], now_ns: int, zone: tzinfo, live_workers: Callable[[], Sequence[Living]] = tuple
    ) -> None:
        self._given, self.now_ns, self.zone, self.live_workers = given, now_ns, zone, live_workers

    def only(self, known: Iterable[str]) -> None:
        """QuestionError for a parameter that is not in `known`: with a misspelt filter the result would be another one."""
        names = list(known)
        for name in self._given:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known parameters: {', '.join(names) or 'none'}"
                raise QuestionError(f"unknown parameter {name!r}; {hint}")

    def query(self) -> Query:
        """Return the query of `q` (KQL), `service`, and `since` and `until`, `since_ns` and `until_ns`, or `last`."""
        since_ns = self._moment("since")
        if "last" in self._given:
            if since_ns is not None:
                raise QuestionError("last and since both set the start of the time range: give one of them")
            since_ns = self.now_ns - span(self._given["last"])
        service = equal("service.name", self.text("service")) if self.maybe("service") else None
        return Query(every(parse(self.text("q", "")), service), since_ns, self._moment("until"))

    def window(self, span_ns: int = DEFAULT_SPAN_NS) -> Query:
        """Return the query with both times set; the default is the last `span_ns`."""
        query = self.query()
        until_ns = query.until_ns if query.until_ns is not None else self.now_ns
        since_ns = query.since_ns if query.since_ns is not None else until_ns - span_ns
        return replace(query, since_ns=since_ns, until_ns=until_ns)

    def page(self) -> Page:
        """Return the page of `limit` (100), `order` (newest or oldest), `after`, `columns` (with commas), `greatest`."""
        newest = self.one_of("order", ("newest", "oldest")) == "newest"
        columns = tuple(filter(None, self.text("columns", "").split(",")))
        limit, after = self.whole("limit", 100, LIMIT_ROWS), self._given.get("after")
        return Page(limit, newest, after, columns, self.text("greatest", ""))

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        """Return the parameter, which is one of `choices`; the default is the first."""
        value = self.text(name, choices[0])
        if value not in choices:
            raise QuestionError(f"invalid {name} {value!r}: use {' or '.join(choices)}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Return the parameter, or `default`; without a default it is required and not empty."""
        value = self._given.get(name, default)
        if value is None or (default is None and not value):
            raise QuestionError(f"the parameter {name} is missing")
        return value

    def maybe(self, name: str) -> str | None:
        """Return the parameter; None if it is absent or empty."""
        return self._given.get(name) or None

    def whole(self, name: str, default: int, most: int, least: int = 1) -> int:
        """Return the parameter as an integer from `least` to `most`."""
        text = self._given.get(name, str(default))
        if not text.isascii() or not text.isdigit() or len(text) > 20 or not least <= int(text) <= most:
            raise QuestionError(f"invalid {name} {text!r}: use an integer from {least} to {most}")
        return int(text)

    def _moment(self, name: str) -> int | None:
        exact, text = self._given.get(f"{name}_ns"), self._given.get(name)
        if exact is not None and text is not None:
            raise QuestionError(f"{name} and {name}_ns both set the same time: give one of them")
        if exact is None:
            return parse_time(text, self.now_ns, self.zone) if text else None
        if len(exact) > 20 or not exact.isascii() or not exact.removeprefix("-").isdigit():
            raise QuestionError(f"invalid {name}_ns {exact!r}: use nanoseconds since 1970")
        if abs(int(exact)) > FAR_NS:
            raise QuestionError(f"{name}_ns {exact} is out of range: times are between the years 1678 and 2261")
        return int(exact)
