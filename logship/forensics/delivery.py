"""Whether all emitted events are stored, over all runs of a window: one label and one sentence for every interface."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from logship.forensics.verify import Verdict, overall
from logship.search.query import SetAside
from logship.search.units import plural

CONFLICT = (
    "Some events arrived twice with different content, or counters contradict the events: it is unknown which of them the "
    "worker sent."
)
Level: TypeAlias = Literal["good", "warning", "critical", "none"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """`finding`: the most severe of all verdicts, "none" without any; `label`: a few words for a badge."""

    finding: str
    level: Level
    label: str
    sentence: str
    stored: int = 0
    missing: int = 0
    dropped: int = 0
    duplicates: int = 0


def delivery(verdicts: Sequence[Verdict], damaged: Sequence[SetAside] = ()) -> Delivery:
    """Return the result of the delivery check. `damaged`: files of the store that may have held events of the window."""
    finding = overall(list(verdicts), damaged) if verdicts or damaged else "none"
    missing, dropped = sum(one.missing for one in verdicts), sum(sum(one.dropped.values()) for one in verdicts)
    duplicates = sum(max(0, one.duplicates) for one in verdicts)
    texts: dict[str, tuple[Level, str, str]] = {
        "none": ("none", "no workers", "No worker sent events in this window, so nothing was checked."),
        "complete": ("good", "complete", "All emitted events are stored."),
        "missing": ("critical", *_lost(missing, dropped)),
        "conflict": ("critical", "conflicting events", CONFLICT),
        "duplicated": ("warning", f"{duplicates:,} stored twice", _twice(duplicates)),
        "unknown": ("warning", "end unknown", _unknown(damaged)),
    }
    level, label, sentence = texts[finding]
    stored = sum(one.stored for one in verdicts)
    return Delivery(finding, level, label, sentence, stored, missing, dropped, duplicates)


def _lost(missing: int, dropped: int) -> tuple[str, str]:
    if not missing:
        return f"{dropped:,} dropped", f"Workers dropped {plural(dropped, 'event')}, with a reason for each."
    rest = f"; workers dropped {dropped:,} more" if dropped else ""
    verb = "is" if missing == 1 else "are"
    return f"{missing:,} missing", f"{plural(missing, 'emitted event')} {verb} not stored{rest}."


def _twice(duplicates: int) -> str:
    verb = "is" if duplicates == 1 else "are"
    return f"No event is missing; {plural(duplicates, 'event')} {verb} stored more than once."


def _unknown(damaged: Sequence[SetAside]) -> str:
    if not damaged:
        return "No event is known to be missing, but the last events of a worker are unknown."
    verb = "is" if len(damaged) == 1 else "are"
    return f"{plural(len(damaged), 'file')} of the store {verb} damaged, so it is unknown whether events are missing."
