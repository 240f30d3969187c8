"""The baseline of a window: a name, or two times, as commands and the HTTP API read it."""

from dataclasses import replace
from datetime import tzinfo

from logship.errors import QuestionError
from logship.search.query import Query
from logship.search.times import parse_time

DAY_NS = 86_400 * 10**9
NAMES = ("preceding", "yesterday", "last-week")


def baseline(window: Query, text: str, now_ns: int, zone: tzinfo) -> Query:
    """Return the baseline of `window`, which has both times: preceding, yesterday, last-week, or SINCE..UNTIL."""
    since, dots, until = text.partition("..")
    if not dots:
        return _named(window, text)
    since_ns, until_ns = (parse_time(part.strip(), now_ns, zone) for part in (since, until))
    if until_ns <= since_ns:
        raise QuestionError(f"invalid baseline {text!r}: {until.strip()} is not after {since.strip()}")
    assert window.since_ns is not None
    assert window.until_ns is not None
    if since_ns < window.until_ns and until_ns > window.since_ns:
        raise QuestionError(f"the baseline {text!r} overlaps the window; choose another time")
    return replace(window, since_ns=since_ns, until_ns=until_ns)


def _named(query: Query, name: str) -> Query:
    assert query.since_ns is not None
    assert query.until_ns is not None
    length_ns = query.until_ns - query.since_ns
    shifts = dict(zip(NAMES, (length_ns, DAY_NS, 7 * DAY_NS), strict=True))
    if name not in shifts:
        raise QuestionError(f"invalid baseline {name!r}: use {', '.join(NAMES)}, or SINCE..UNTIL")
    if shifts[name] < length_ns:
        raise QuestionError(f"the window is longer than the shift of baseline {name!r}, so they overlap; use preceding")
    return replace(query, since_ns=query.since_ns - shifts[name], until_ns=query.until_ns - shifts[name])
