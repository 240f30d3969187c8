"""The result of the delivery check as a label and a sentence."""

from dataclasses import replace

import pytest

from logship.forensics.delivery import delivery
from logship.forensics.verify import Verdict
from logship.search.query import SetAside

COMPLETE = Verdict(
    finding="complete", sentence="", incarnation="a" * 24, service="shop", node="h/shop/w0", slot=0, generation=1, pid=1,
    state="closed", judged_to=10, stored=10, missing=0, dropped={}, duplicates=0, gaps=(), gap_after=None, gap_before=None,
    not_judged=0,
)  # fmt: skip
MISSING = replace(COMPLETE, finding="missing", missing=3)
DROPPED = replace(COMPLETE, finding="missing", dropped={"journal_full": 2})
TWICE = replace(COMPLETE, finding="duplicated", duplicates=4)
UNKNOWN = replace(COMPLETE, finding="unknown")
CONFLICT = replace(COMPLETE, finding="conflict", conflicts=1)
DAMAGED = SetAside("00000001-00000002.parquet", "a page has another checksum", 100)


@pytest.mark.parametrize(
    ("verdicts", "level", "label", "sentence"),
    [
        ([], "none", "no workers", "nothing was checked"),
        ([COMPLETE], "good", "complete", "All emitted events are stored."),
        ([COMPLETE, MISSING], "critical", "3 missing", "3 emitted events are not stored."),
        ([MISSING, DROPPED], "critical", "3 missing", "3 emitted events are not stored; workers dropped 2 more."),
        ([DROPPED], "critical", "2 dropped", "Workers dropped 2 events"),
        ([TWICE], "warning", "4 stored twice", "No event is missing"),
        ([COMPLETE, UNKNOWN], "warning", "end unknown", "last events of a worker are unknown"),
        ([MISSING, CONFLICT], "critical", "conflicting events", "different content"),
    ],
)
def test_the_most_severe_verdict_decides(verdicts: list[Verdict], level: str, label: str, sentence: str) -> None:
    result = delivery(verdicts)
    assert (result.level, result.label) == (level, label)
    assert sentence in result.sentence


def test_damaged_files_are_no_proof_of_completeness() -> None:
    for verdicts in ([], [COMPLETE]):
        result = delivery(verdicts, [DAMAGED])
        assert (result.finding, result.level) == ("unknown", "warning")
        assert "damaged" in result.sentence


def test_events_are_added_up() -> None:
    result = delivery([COMPLETE, MISSING, DROPPED, TWICE])
    assert (result.stored, result.missing, result.dropped, result.duplicates) == (40, 3, 2, 4)
