"""Errors and messages that occur for the first time in the window."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from logship.forensics.by_text import all_by_text
from logship.forensics.finding import short
from logship.forensics.incident.clock import Clock
from logship.forensics.incident.counted import Counted
from logship.forensics.incident.finding import IncidentKind, Outlier
from logship.search import kql
from logship.search.kql import equal
from logship.search.query import Source
from logship.search.units import plural
from logship.search.views import NODE, ROUTE

ERRORS = "error.type: *"
# Without a template, the text of a message is known by its words without digits.
WARNINGS = 'event.dataset: "logship.app" and log.level: (warning or error or critical)'
LEAST_ERRORS, LEAST_MESSAGES = 5, 6
# A rare error that is usual, such as a lost connection, occurs at any time.
LEAST_EVERYWHERE = 15
# After less time without a text it is not known to be new: it may be rare.
LEAST_BEFORE_NS = 5 * 60 * 10**9
MAJORITY = 0.8
BY_CHANCE = 1e-3
# Of two texts with as many words, this part is equal if one is a variant of the other.
VARIANT = 0.6
_VARIABLE = re.compile(r"\S*\d\S*|'[^']*'|\"[^\"]*\"")


@dataclass(slots=True)
class _Text:
    """What is known of one text: events by bucket, by worker and by route; one of the messages."""

    times: Counter[int] = field(default_factory=Counter)
    workers: Counter[str] = field(default_factory=Counter)
    routes: Counter[str] = field(default_factory=Counter)
    services: Counter[str] = field(default_factory=Counter)
    sample: str = ""


def new_errors(counted: Counted) -> list[Outlier]:
    """Return the exception types that occur several times in the window and not in the baseline."""
    clock, found = counted.clock, []
    for kind, text in _texts(counted.source, clock, ERRORS, ("error.type", "service.name", NODE, ROUTE), exact=True).items():
        if not _new(counted, text, LEAST_ERRORS):
            continue
        fields: dict[str, str | list[str]] = {"error.type": kind}
        route = _main(text.routes)
        if not route and text.times.total() < LEAST_EVERYWHERE:
            continue
        if route:
            fields[ROUTE] = route
        where = f" on {route}" if route else f" on {plural(len(text.routes), 'route')}" if len(text.routes) > 1 else ""
        sentence = f"New error {kind.rpartition('.')[2]}{where}: {plural(text.times.total(), 'time')}, none in the baseline."
        found.append(_outlier(clock, "new_error", sentence, kql.text_of(equal("error.type", kind)), text, fields))
    return found


def new_patterns(counted: Counted) -> list[Outlier]:
    """Return the warnings and errors whose text occurs several times in the window and not in the baseline."""
    clock, found = counted.clock, []
    texts = _texts(counted.source, clock, WARNINGS, ("message", "service.name", NODE, "log.logger", "log.level"), exact=False)
    old = [key.split() for key, text in texts.items() if min(text.times) < clock.since_ns]
    for key, text in texts.items():
        if not _new(counted, text, LEAST_MESSAGES) or any(_variant(key.split(), words) for words in old):
            continue
        worker = _main(text.workers)
        by = f" by {short(worker)}" if worker else ""
        words = _longest_words(text.sample)
        query = kql.text_of(kql.every(kql.parse(WARNINGS), equal("message", words))) if words else WARNINGS
        sentence = f'New message "{text.sample[:160]}"{by}: {plural(text.times.total(), "time")}, none in the baseline.'
        found.append(_outlier(clock, "new_pattern", sentence, query, text, {}))
    return found


def _texts(source: Source, clock: Clock, where: str, names: tuple[str, ...], *, exact: bool) -> dict[str, _Text]:
    found: defaultdict[str, _Text] = defaultdict(_Text)
    for query in clock.queries():
        for group in all_by_text(source, query.narrowed(kql.parse(where)), names, clock.every_ns):
            keys, events = group.keys, group.events
            text = found[keys[0] if exact else f"{keys[3]} {keys[4]} {_VARIABLE.sub('*', keys[0])}"]
            text.times.update(dict(zip(group.starts_ns, group.counts, strict=True)))
            text.services[keys[1]] += events
            text.workers[keys[2]] += events
            if exact:
                text.routes[keys[3]] += events
            text.sample = text.sample or keys[0]
    return dict(found)


def _new(counted: Counted, text: _Text, least: int) -> bool:
    """Whether a text began in the window: it is unlikely that one with a steady rate keeps to so short a part of the time."""
    clock = counted.clock
    first_ns, last_ns, events = min(text.times), max(text.times), text.times.total()
    stored_ns = _since_ns(counted, text)
    baseline_ns = max(0, (clock.baseline.until_ns or 0) - max(clock.baseline.since_ns or 0, stored_ns))
    whole_ns = clock.until_ns - clock.since_ns + baseline_ns
    part = min(1.0, (last_ns - first_ns + clock.every_ns) / whole_ns)
    if part ** (events - 1) > BY_CHANCE:
        return False
    known_ns = baseline_ns + first_ns - max(clock.since_ns, stored_ns)
    return first_ns >= clock.since_ns and events >= least and known_ns >= LEAST_BEFORE_NS


def _since_ns(counted: Counted, text: _Text) -> int:
    """Since when there are requests of the service of a text: before that, nothing of it was stored that could be compared."""
    by_service = counted.series(counted.requests, ("service.name",))
    series = by_service.get((_main(text.services),)) or counted.series(counted.requests, ()).get((), [])
    return next((start_ns for start_ns, events in zip(counted.starts, series, strict=False) if events), counted.clock.until_ns)


def _outlier(
    clock: Clock, kind: IncidentKind, sentence: str, query: str, text: _Text, fields: dict[str, str | list[str]]
) -> Outlier:
    first, last, worker = min(text.times), max(text.times), _main(text.workers)
    ended = (last, last + clock.every_ns) if last + 2 * clock.every_ns < clock.until_ns else None
    return Outlier(
        kind, sentence, query, (first, first + clock.every_ns), ended,
        _main(text.services), worker, fields, {"events": text.times.total()}, float(text.times.total()),
    )  # fmt: skip


def _variant(words: list[str], others: list[str]) -> bool:
    """Whether two texts are of one template: as many words, and most of them equal (as in Drain, He et al. 2017)."""
    if len(words) != len(others) or words[:2] != others[:2]:
        return False
    equal_words = sum(word == other for word, other in zip(words[2:], others[2:], strict=True))
    return equal_words >= VARIANT * (len(words) - 2)


def _main(values: Counter[str]) -> str:
    """The value of most of the events, "" if there is none."""
    value, events = values.most_common(1)[0] if values else ("", 0)
    return value if events >= MAJORITY * values.total() else ""


def _longest_words(message: str) -> str:
    """The longest part of a message without anything variable, as a phrase to search for."""
    return max((part.strip(" :,.;") for part in _VARIABLE.split(message)), key=len, default="")
