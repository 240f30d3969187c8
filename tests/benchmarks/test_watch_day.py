"""A short day of the watch: its incident is reported once, its end once, and nothing else. `bench_watch.py` has the long one."""

from pathlib import Path

import pytest

from benchmarks.bench_watch import print_day, watched
from benchmarks.incident_hours.day import make_day

PLANNED = (("failing_route", "clear", 1), ("orderly_deploy", "clear", 2))


@pytest.mark.prove
def test_an_incident_of_three_hours_is_reported_once_and_its_end_once(tmp_path: Path) -> None:
    day = make_day(0, 3, PLANNED, per_second=1.5)
    result = watched(day, tmp_path / "store", every_seconds=300)
    assert print_day(day, result) == 0
    assert [notice.kind for notice in result.notices] == ["began", "ended"]
    (planted,) = day.planted
    assert result.notices[0].finding.kind in planted.accepted[0].kinds
    assert 0 <= result.notices[0].at_ns - planted.began_ns <= 700 * 10**9
    assert day.quiet == ["orderly_deploy"]
