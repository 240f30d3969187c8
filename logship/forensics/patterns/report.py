"""The patterns of the log messages of a window, compared with a baseline, for the command line, the page and the API."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from logship.forensics.patterns.compare import ChangeOfPattern, Judgement, PatternCounts, judged
from logship.forensics.patterns.find import kql_of_template, kql_of_words
from logship.forensics.patterns.mine import patterns_of
from logship.forensics.patterns.read import Messages, messages
from logship.forensics.patterns.words import text_of
from logship.search.query import Query, Source
from logship.search.units import plural

ORDER = ("new", "more", "rarer", "gone", "same", "")


@dataclass(frozen=True, slots=True)
class MessagePattern:
    """`pattern`: the template as the application wrote it if `recorded`, else with <*> for what varies.

    `events` and `baseline_events` are counts; `events_per_minute` and `baseline_per_minute` rates. `change` is "" without a
    baseline. `example`: the most frequent message. `kql` finds the events of a recorded template, and others with the same
    words for a mined one."""

    pattern: str
    recorded: bool
    events: int
    events_per_minute: float
    example: str
    kql: str
    baseline_events: int = 0
    baseline_per_minute: float = 0.0
    change: ChangeOfPattern | str = ""
    significant: bool = False
    chance: float = 1.0


@dataclass(frozen=True, slots=True)
class PatternReport:
    """`patterns`: significant changes first, then the most frequent; their `events` and `unread_events` add up to `events`.

    `compared`: whether there is a baseline with log lines; `sentence` says what was found."""

    patterns: list[MessagePattern]
    events: int
    baseline_events: int
    unread_events: int
    compared: bool
    sentence: str


def report(source: Source, window: Query, baseline: Query | None) -> PatternReport:
    """Return the patterns of `window`; both queries have a beginning and an end."""
    now = messages(source, window)
    before = messages(source, baseline) if baseline is not None else Messages()
    patterns = _patterns(now, before, window, baseline)
    compared = bool(baseline is not None and before.total())
    if not compared:
        patterns = [replace(pattern, change="", significant=False, chance=1.0) for pattern in patterns]
    patterns.sort(key=lambda each: (not each.significant, -max(each.events, each.baseline_events), each.pattern))
    return PatternReport(
        patterns, now.total(), before.total(), now.unread, compared, _sentence(patterns, now, before, baseline)
    )


@dataclass(frozen=True, slots=True)
class _Group:
    pattern: str
    recorded: bool
    kql: str
    example: str
    counts: PatternCounts


def _patterns(now: Messages, before: Messages, window: Query, baseline: Query | None) -> list[MessagePattern]:
    groups = [*_recorded(now, before), *_mined(now, before)]
    window_ns, baseline_ns = _length_ns(window), _length_ns(baseline or window)
    judgements = judged([group.counts for group in groups], window_ns, baseline_ns)
    minutes, before_minutes = window_ns / 60e9, baseline_ns / 60e9
    return [
        _pattern(group, judgement, minutes, before_minutes) for group, judgement in zip(groups, judgements, strict=True)
    ]


def _pattern(group: _Group, judgement: Judgement, minutes: float, before_minutes: float) -> MessagePattern:
    counts = group.counts
    return MessagePattern(
        group.pattern, group.recorded, counts.window, counts.window / minutes, group.example, group.kql,
        counts.baseline, counts.baseline / before_minutes, judgement.change, judgement.significant, judgement.chance,
    )  # fmt: skip


def _recorded(now: Messages, before: Messages) -> Iterable[_Group]:
    for template in {**now.templates, **before.templates}:
        counts = PatternCounts(now.templates[template], before.templates[template])
        yield _Group(template, True, kql_of_template(template), template, counts)


def _mined(now: Messages, before: Messages) -> Iterable[_Group]:
    """Yield the patterns of both windows, mined together: which words vary depends on all messages."""
    both = now.texts + before.texts
    members: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for message, words in patterns_of(both).items():
        members[words][message] = both[message]
    for words, texts in members.items():
        counts = PatternCounts(sum(now.texts[text] for text in texts), sum(before.texts[text] for text in texts))
        yield _Group(
            text_of(words), False, kql_of_words(words), min(texts, key=lambda text: (-texts[text], text)), counts
        )


def _length_ns(query: Query) -> int:
    assert query.since_ns is not None
    assert query.until_ns is not None
    return max(1, query.until_ns - query.since_ns)


def _sentence(patterns: list[MessagePattern], now: Messages, before: Messages, baseline: Query | None) -> str:
    total = f"{plural(now.total(), 'log line')} in {plural(sum(each.events > 0 for each in patterns), 'pattern')}."
    if now.unread:
        total += f" {plural(now.unread, 'older line')} not grouped: the source cannot count messages by their text."
    if baseline is None:
        return total
    if not before.total():
        return f"{total} The baseline has no log lines, so nothing was compared."
    found = Counter(each.change for each in patterns if each.significant)
    changes = ", ".join(f"{found[change]} {change}" for change in ORDER if found[change])
    return f"{total} Compared with the baseline: {changes or 'no significant change'}."
