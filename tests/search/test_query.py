"""Windows of time, whichever store they are asked of."""

from logship.search.query import CLOCK_AHEAD_NS, Query, bounded

NOW_NS = 1_795_168_800 * 10**9


def test_a_window_without_an_end_ends_a_few_minutes_after_now() -> None:
    assert bounded(Query(since_ns=NOW_NS - 1), NOW_NS) == Query(since_ns=NOW_NS - 1, until_ns=NOW_NS + CLOCK_AHEAD_NS)


def test_other_windows_stay_as_they_are() -> None:
    for query in (Query(), Query(since_ns=NOW_NS + 1), Query(since_ns=1, until_ns=2), Query(until_ns=2)):
        assert bounded(query, NOW_NS) is query
