"""Rates are compared, not counts, and chance is not a change."""

from logship.forensics.patterns.compare import PatternCounts, judged

HOUR = 3_600 * 10**9


def changes(*counts: tuple[int, int], baseline_ns: int = HOUR) -> list[tuple[str, bool]]:
    return [(each.change, each.significant) for each in judged([PatternCounts(*pair) for pair in counts], HOUR, baseline_ns)]


def test_changes_have_their_names() -> None:
    assert changes((50, 0), (0, 50), (90, 30), (30, 90), (50, 55)) == [
        ("new", True), ("gone", True), ("more", True), ("rarer", True), ("same", False),
    ]  # fmt: skip


def test_a_single_new_line_is_new_and_not_significant() -> None:
    assert changes((1, 0), (500, 500)) == [("new", False), ("same", False)]


def test_a_baseline_that_is_longer_is_compared_by_rate() -> None:
    assert changes((100, 400), (400, 400), baseline_ns=4 * HOUR) == [("same", False), ("more", True)]


def test_a_significant_change_that_is_small_does_not_matter() -> None:
    assert changes((11_000, 10_000)) == [("same", False)]


def test_what_is_significant_alone_is_not_among_many() -> None:
    assert changes((20, 5)) == [("more", True)]
    assert changes((20, 5), *[(50, 50)] * 20) == [("same", False)] * 21
