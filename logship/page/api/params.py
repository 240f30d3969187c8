"""What a URL asks, as values: the query, the page, and single parameters, each checked and named when it is wrong."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo

from logship.errors import QuestionError
from logship.search.kql import equal, every, parse
from logship.search.query import Page, Query
from logship.search.times import parse_time, span
from logship.state.living import Living

# One answer is made in memory: 10,000 records of the largest size would be 640 MB, of the usual size 10 MB.
LIMIT_ROWS = 10_000
# What is left to 64 bits is room for a span before or after it.
FAR_NS = 9_200_000_000_000_000_000
QUERY_NAMES = ("q", "service", "since", "until", "last", "since_ns", "until_ns")


class RequestParams:
    """The parameters of one request. Every method raises QuestionError with the name of what it cannot take.

    `live_workers`: the workers of this machine that live."""

    def __init__(
        self, given: Mapping[str, str], now_ns: int, zone: tzinfo, live_workers: Callable[[], Sequence[Living]] = tuple
    ) -> None:
        self._given, self.now_ns, self._zone, self.live_workers = given, now_ns, zone, live_workers

    def only(self, known: Iterable[str]) -> None:
        """Refuse a parameter that is not `known`: a misspelt filter would answer another question."""
        names = list(known)
        for name in self._given:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names) or 'none'}"
                raise QuestionError(f"there is no parameter {name!r} here; {hint}")

    def query(self) -> Query:
        """`q` in KQL; `service`: only its events; `since` and `until` as people write times, or
        `since_ns`, `until_ns`; `last` as a span."""
        since_ns = self._moment("since")
        if "last" in self._given:
            if since_ns is not None:
                raise QuestionError("last and since both say where to begin; give one of them")
            since_ns = self.now_ns - span(self._given["last"])
        service = equal("service.name", self.text("service")) if self.maybe("service") else None
        return Query(every(parse(self.text("q", "")), service), since_ns, self._moment("until"))

    def page(self) -> Page:
        """`limit` (100), `order` (newest or oldest first), `after`, `columns` with commas between, `greatest`."""
        newest = self.one_of("order", ("newest", "oldest")) == "newest"
        columns = tuple(filter(None, self.text("columns", "").split(",")))
        limit, after = self.whole("limit", 100, LIMIT_ROWS), self._given.get("after")
        return Page(limit, newest, after, columns, self.text("greatest", ""))

    def one_of(self, name: str, words: tuple[str, ...]) -> str:
        """One of the words, the first when it is absent."""
        word = self.text(name, words[0])
        if word not in words:
            raise QuestionError(f"{name} is {' or '.join(words)}, not {word!r}")
        return word

    def text(self, name: str, default: str | None = None) -> str:
        """The parameter as it is; without a default it must be there."""
        value = self._given.get(name, default)
        if value is None or (default is None and not value):
            raise QuestionError(f"the parameter {name} is missing")
        return value

    def maybe(self, name: str) -> str | None:
        """The parameter, None when it is absent or empty."""
        return self._given.get(name) or None

    def whole(self, name: str, default: int, most: int, least: int = 1) -> int:
        """A number from `least` to `most`."""
        text = self._given.get(name, str(default))
        if not text.isascii() or not text.isdigit() or len(text) > 20 or not least <= int(text) <= most:
            raise QuestionError(f"{name} is a whole number from {least} to {most}, not {text!r}")
        return int(text)

    def _moment(self, name: str) -> int | None:
        exact, text = self._given.get(f"{name}_ns"), self._given.get(name)
        if exact is not None and text is not None:
            raise QuestionError(f"{name} and {name}_ns say the same; give one of them")
        if exact is not None:
            if len(exact) > 20 or not exact.isascii() or not exact.removeprefix("-").isdigit():
                raise QuestionError(f"{name}_ns is a number of nanoseconds since 1970, not {exact!r}")
            if abs(int(exact)) > FAR_NS:
                raise QuestionError(f"{name}_ns lies beyond the years that can be told, 1678 and 2261")
            return int(exact)
        return parse_time(text, self.now_ns, self._zone) if text else None
