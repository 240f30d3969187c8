"""Times as people type them and as events store them. Internally a time is nanoseconds since 1970 in UTC."""

import calendar
import re
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import lru_cache

from logship.errors import QuestionError

SECOND_NS = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The whole years that fit in 64 bits of nanoseconds: 1678 to 2261.
EARLIEST_NS, LATEST_NS = -9_214_560_000 * SECOND_NS, 9_214_646_400 * SECOND_NS

_UNIT_NS = {
    "ms": 10**6,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
    "d": 86400 * SECOND_NS,
    "w": 7 * 86400 * SECOND_NS,
}
_WORDS = {
    "second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "day": "d", "week": "w",
}  # fmt: skip
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)")
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?)?)?)?)?"
    r"\s*(Z|z|[+-]\d\d:?(?:\d\d)?)?"
)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
_EPOCH_DIGITS = re.compile(r"\d{9,10}|\d{12,13}|\d{15,16}|\d{18,19}")  # s, ms, us, ns from 1973 on
_MATH = re.compile(r"([+-])(\d+)([yMwdhHms])|/([yMwdhHms])")


def rfc3339(ns: int) -> str:
    """Return `ns` as text in UTC with nine digits of a second and a Z."""
    seconds, rest = divmod(ns, SECOND_NS)
    return f"{_second(seconds)}.{rest:09d}Z"


@lru_cache(4096)  # the events of a result share their seconds, and the calendar takes 4 us
def _second(seconds: int) -> str:
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}"


def from_rfc3339(text: str, zone: tzinfo = UTC) -> int:
    """Return the first nanosecond of a complete or shortened RFC 3339 text. Without an offset it is in `zone`.

    QuestionError if `text` is not a date."""
    return interval(text, 0, zone, allow_math=False)[0]


def span(text: str) -> int:
    """Return the nanoseconds of a duration: `15m`, `90s`, `1h30m`, `2 days`. QuestionError for any other text."""
    total, at, text = 0, 0, text.strip().lower()
    for part in _SPAN.finditer(text):
        word = part[2]
        unit = word if word in _UNIT_NS else _WORDS.get(word.removesuffix("s"), "")
        if part.start() != at or not unit:
            break
        total += round(float(part[1]) * _UNIT_NS[unit])
        at = part.end() + len(text[part.end() :]) - len(text[part.end() :].lstrip())
    if not text or at != len(text):
        raise QuestionError(f"invalid duration {text!r}: use e.g. 90s, 15m, 2h, 1d")
    return total


def parse_time(text: str, now_ns: int, zone: tzinfo) -> int:
    """Return the time that a person means, as nanoseconds since 1970. `now_ns` and `zone` are those of the person.

    Accepted: `15m` (ago), `now-1h`, `14:03` (the most recent one), `today`, `yesterday 14:00`, `2026-11-20`, RFC 3339,
    and seconds, milliseconds, microseconds or nanoseconds since 1970, distinguished by the number of digits.
    QuestionError for any other text."""
    text = text.strip()
    now = _local(now_ns, zone)
    day, _, clock = text.lower().partition(" ")
    if day in ("today", "yesterday") or _CLOCK.fullmatch(text):
        date = now.date() - timedelta(days=day == "yesterday")
        at = _clock(clock if day in ("today", "yesterday") else text, text)
        if day not in ("today", "yesterday") and at > now.time():
            date -= timedelta(days=1)
        return _ns(datetime.combine(date, at, tzinfo=zone))
    try:
        return interval(text, now_ns, zone)[0]
    except QuestionError:
        try:
            return now_ns - span(text)
        except QuestionError:
            raise QuestionError(
                f"invalid time {text!r}: use e.g. 15m, 14:03, yesterday 14:00, 2026-11-20T14:03, now-1h"
            ) from None


def interval(text: str, now_ns: int, zone: tzinfo, *, allow_math: bool = True) -> tuple[int, int]:
    """Return the first and the last nanosecond of a KQL date: `2026-11-20` and `now-1d/d` are whole days.

    As in Elasticsearch, `>` and `<=` compare with the last nanosecond, `>=` and `<` with the first. `allow_math`: whether
    `now` and `||` are accepted. QuestionError if `text` is not a date."""
    anchor, math = text.strip(), ""
    if allow_math and anchor.startswith("now"):
        low = high = now_ns
        math = anchor[3:]
    else:
        if allow_math and "||" in anchor:
            anchor, _, math = anchor.partition("||")
        low, high = _date(anchor, zone)
    at = 0
    for step in _MATH.finditer(math):
        if step.start() != at:
            break
        at = step.end()
        if step[4]:
            start = _floor(_local(low, zone), step[4])
            low, high = _ns(start), _ns(_shift(start, 1, step[4])) - 1
        else:
            count = int(step[2]) * (1 if step[1] == "+" else -1)
            low, high = (_moved(ns, count, step[3], zone) for ns in (low, high))
    if at != len(math):
        raise QuestionError(f"invalid date {text!r}: after now or || use steps such as -15m, +1d, /h")
    return low, high


def _date(text: str, zone: tzinfo) -> tuple[int, int]:
    if _EPOCH_DIGITS.fullmatch(text):
        return (int(text) * 10 ** (9 - (len(text) - 9) // 3 * 3),) * 2
    found = _DATE.fullmatch(text)
    if not found:
        raise QuestionError(f"invalid date {text!r}: use e.g. 2026-11-20T14:03:00Z, 2026-11-20, now-15m")
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    try:
        moment = datetime(
            int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), min(int(second or 0), 59),
            tzinfo=_offset(offset) if offset else zone,
        )  # fmt: skip
        start = _ns(moment)
        if fraction:
            return (start + int(fraction.ljust(9, "0")),) * 2
        unit = next(u for u, part in zip("smhdMy", (second, minute, hour, day, month, year), strict=True) if part)
        return start, _ns(_shift(moment, 1, unit)) - 1
    except (ValueError, OverflowError) as wrong:
        raise QuestionError(f"invalid date {text!r}: {wrong}") from None


def _offset(text: str) -> tzinfo:
    if text in "Zz":
        return UTC
    return datetime.strptime(text.replace(":", "").ljust(5, "0"), "%z").tzinfo or UTC


def _clock(text: str, whole: str) -> time:
    found = _CLOCK.fullmatch(text) if text else None
    if text and (not found or int(found[1]) > 23 or int(found[2]) > 59 or int(found[3] or 0) > 59):
        raise QuestionError(f"invalid time of day {whole!r}: use e.g. 14:03, yesterday 14:03:20")
    return time(int(found[1]), int(found[2]), int(found[3] or 0)) if found else time()


def _local(ns: int, zone: tzinfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=ns // 1000)).astimezone(zone)


def _ns(moment: datetime) -> int:
    past = moment - _EPOCH
    ns = (past.days * 86400 + past.seconds) * SECOND_NS + past.microseconds * 1000
    if not EARLIEST_NS <= ns < LATEST_NS:
        raise QuestionError(f"the year {moment.year} is out of range: use 1678 to 2261")
    return ns


def _moved(ns: int, count: int, unit: str, zone: tzinfo) -> int:
    """Return `ns` moved by `count` units. Days and longer are calendar days in `zone`; nanoseconds are kept."""
    try:
        return _ns(_shift(_local(ns, zone), count, unit)) + ns % 1000
    except OverflowError:
        raise QuestionError(f"{count}{unit} leads to a date that is out of range: use 1678 to 2261") from None


def _shift(moment: datetime, count: int, unit: str) -> datetime:
    if unit in "yM":
        months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "y" else 1)
        year, month = divmod(months, 12)
        if not 1 <= year <= 9999:
            raise OverflowError
        return moment.replace(year=year, month=month + 1, day=min(moment.day, calendar.monthrange(year, month + 1)[1]))
    if unit in "dw":
        return moment + timedelta(days=count * (7 if unit == "w" else 1))
    return (moment.astimezone(UTC) + timedelta(seconds=count * _UNIT_NS[unit.lower()] // SECOND_NS)).astimezone(
        moment.tzinfo
    )


def _floor(moment: datetime, unit: str) -> datetime:
    if unit == "w":
        moment -= timedelta(days=moment.weekday())
    below = "Mdhms"["yMdhms".index({"w": "d", "H": "h"}.get(unit, unit)) :]
    return moment.replace(
        month=1 if "M" in below else moment.month,
        day=1 if "d" in below else moment.day,
        hour=0 if "h" in below else moment.hour,
        minute=0 if "m" in below else moment.minute,
        second=0 if "s" in below else moment.second,
        microsecond=0,
    )
