"""Generated hours: complete for the delivery check, the same for the same seed, and what their truth says is in their events."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from benchmarks.incident_hours.fill import fill_store, ndjson
from benchmarks.incident_hours.hour import Hour
from benchmarks.incident_hours.incidents import INCIDENTS
from benchmarks.incident_hours.make import SIZES, make_hour
from benchmarks.incident_hours.plan import SECOND, Accepted
from benchmarks.incident_hours.quiet import QUIET
from benchmarks.incident_hours.records import Record
from logship.forensics.verify import Verdict, overall, verify
from logship.search.query import Query
from logship.store.read.reader import Reader

# Few requests, so that the hours are made in a moment.
FEW = 0.5
ENOUGH = 3.0
HARDEST = SIZES[2]


def of(hour: Hour, accepted: Accepted) -> Iterator[tuple[int, Record]]:
    """The events that have the planted fields and worker."""
    for at_ns, record in hour.entries:
        if accepted.worker and record.get("service.node.name") != accepted.worker:
            continue
        if all(_value(record, name) == value for name, value in accepted.fields.items()):
            yield at_ns, record


def _value(record: Record, name: str) -> str:
    if name.startswith("labels."):
        return str(record.get("labels", {}).get(name.removeprefix("labels."), ""))
    return str(record.get(name, ""))


def inside(hour: Hour, at_ns: int) -> bool:
    truth = hour.truth
    assert truth.began_ns is not None
    assert truth.ended_ns is not None
    return truth.began_ns <= at_ns <= truth.ended_ns + 60 * SECOND


def failing_parts(hour: Hour, accepted: Accepted) -> tuple[float, float]:
    """The parts of requests that failed: those of the slice in the incident, and all outside of it."""
    planted = [record for at_ns, record in of(hour, accepted) if inside(hour, at_ns)]
    usual = [record for at_ns, record in hour.entries if not inside(hour, at_ns)]
    return _failed(planted), _failed(usual)


def _failed(records: list[Record]) -> float:
    outcomes = [record["event.outcome"] for record in records if record.get("event.action") == "http-request"]
    return outcomes.count("failure") / len(outcomes)


def durations(hour: Hour, accepted: Accepted) -> tuple[float, float]:
    medians: dict[bool, list[float]] = {True: [], False: []}
    for at_ns, record in of(hour, accepted):
        if record.get("event.action") == "http-request":
            medians[inside(hour, at_ns)].append(record["event.duration"])
    return median(medians[True]), median(medians[False])


def per_second(hour: Hour, accepted: Accepted) -> tuple[float, float]:
    """Requests per second in the incident, and before."""
    truth = hour.truth
    assert truth.began_ns is not None
    assert truth.ended_ns is not None
    times = [at_ns for at_ns, record in of(hour, accepted) if record.get("event.action") == "http-request"]
    during = sum(truth.began_ns <= at_ns <= truth.ended_ns for at_ns in times)
    before = sum(at_ns < truth.began_ns for at_ns in times)
    return (
        during * SECOND / max(1, truth.ended_ns - truth.began_ns),
        before * SECOND / (truth.began_ns - hour.before_ns),
    )


def holes(hour: Hour, node: str) -> int:
    sequences: dict[str, list[int]] = {}
    for _, record in of(hour, Accepted((), worker=node)):
        sequences.setdefault(record["service.ephemeral_id"], []).append(record["event.sequence"])
    return sum(max(numbers) - min(numbers) + 1 - len(numbers) for numbers in sequences.values())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["worker_killed", "oom_kill", "restart_loop"])
def test_a_death_is_at_its_worker_and_time(kind: str, size: str) -> None:
    hour = make_hour(kind, size, 1, per_second=FEW)
    lost = [at_ns for at_ns, one in of(hour, hour.truth.accepted[0]) if one.get("event.action") == "worker-lost"]
    assert lost[0] == hour.truth.began_ns
    assert lost[-1] - lost[0] <= 10 * 60 * SECOND
    assert len(lost) == (12, 6, 3)[SIZES.index(size)] if kind == "restart_loop" else len(lost) == 1


@pytest.mark.parametrize("size", [HARDEST])
@pytest.mark.parametrize(
    "kind",
    [
        "failing_route", "failing_method", "bad_tenant", "bad_client", "bad_agent", "bad_version_on_one_worker", "bad_deploy",
    ],
)
def test_the_planted_slice_fails_more_often_than_before(kind: str, size: str) -> None:
    hour = make_hour(kind, size, 1, per_second=ENOUGH)
    in_it, else_ = failing_parts(hour, hour.truth.accepted[-1])
    assert in_it > 0.02
    assert in_it > 3 * else_


@pytest.mark.parametrize("size", [HARDEST])
@pytest.mark.parametrize("kind", ["slow_worker", "slow_route", "slow_tenant_on_route"])
def test_the_planted_slice_is_slower_than_before(kind: str, size: str) -> None:
    hour = make_hour(kind, size, 1, per_second=ENOUGH)
    in_it, else_ = durations(hour, hour.truth.accepted[0])
    assert in_it > 1.4 * else_


@pytest.mark.parametrize("size", SIZES)
def test_a_blocked_loop_is_late_in_heartbeats_of_its_worker_only(size: str) -> None:
    hour = make_hour("blocked_worker", size, 1, per_second=FEW)
    late = {
        record["service.node.name"]
        for _, record in hour.entries
        if record.get("logship.loop_lag.max_ns", 0) > 500_000_000
    }
    assert late == {hour.truth.accepted[0].worker}
    reports = [one for _, one in hour.entries if one.get("event.action") == "loop-stalled"]
    assert late == {one["service.node.name"] for one in reports if one["event.duration"] > 500_000_000}
    assert len({one["service.node.name"] for one in reports}) > 1


@pytest.mark.parametrize("size", [HARDEST])
def test_a_status_shifts_on_its_route(size: str) -> None:
    hour = make_hour("status_shifted", size, 1, per_second=ENOUGH)
    shifted = [at_ns for at_ns, _ in of(hour, hour.truth.accepted[0])]
    assert sum(inside(hour, at_ns) for at_ns in shifted) > 12
    assert per_second(hour, hour.truth.accepted[0])[0] > 3 * per_second(hour, hour.truth.accepted[0])[1]


@pytest.mark.parametrize("size", [HARDEST])
def test_a_new_error_never_occurred_before(size: str) -> None:
    hour = make_hour("new_error", size, 1, per_second=ENOUGH)
    times = [at_ns for at_ns, _ in of(hour, hour.truth.accepted[0])]
    assert len(times) >= 3
    assert all(inside(hour, at_ns) for at_ns in times)


@pytest.mark.parametrize("size", SIZES)
def test_a_new_message_never_occurred_before(size: str) -> None:
    hour = make_hour("new_message", size, 1, per_second=FEW)
    said = [at_ns for at_ns, one in hour.entries if hour.truth.accepted[0].words in one["message"]]
    assert len(said) >= 10
    assert all(inside(hour, at_ns) for at_ns in said)


@pytest.mark.parametrize("size", [HARDEST])
@pytest.mark.parametrize("kind", ["hot_worker", "traffic_drop", "client_flood"])
def test_traffic_changes_where_it_was_planted(kind: str, size: str) -> None:
    hour = make_hour(kind, size, 1, per_second=ENOUGH)
    in_it, before = per_second(hour, hour.truth.accepted[0])
    assert in_it < 0.85 * before if kind == "traffic_drop" else in_it > 1.25 * before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["missing_events", "dropped_events"])
def test_lost_events_leave_a_gap_in_the_sequence_of_their_worker(kind: str, size: str) -> None:
    hour = make_hour(kind, size, 1, per_second=ENOUGH)
    assert holes(hour, hour.truth.accepted[0].worker) == hour.truth.touched > 0


def test_every_kind_of_incident_is_checked_and_none_is_quiet() -> None:
    assert len(INCIDENTS) >= 15
    assert len(QUIET) >= 10
    for kind in INCIDENTS:
        truth = make_hour(kind, "clear", 3, per_second=0.5).truth
        assert truth.accepted, kind
        assert truth.began_ns is not None, kind
    assert not any(make_hour(kind, "clear", 3, per_second=0.1).truth.accepted for kind in QUIET)


def test_the_same_seed_makes_the_same_hour_and_the_halves_differ() -> None:
    first, again = (make_hour("slow_route", "clear", 5, "tuning", per_second=0.5) for _ in range(2))
    other = make_hour("slow_route", "clear", 5, "judging", per_second=0.5)
    assert first.entries == again.entries
    assert first.entries[0][1]["event.id"] != other.entries[0][1]["event.id"]


def verdicts(hour: Hour, directory: Path) -> list[Verdict]:
    assert fill_store(hour, directory) == len(hour.entries)
    reader = Reader(directory, threads=1)
    try:
        return verify(reader, Query(None, hour.since_ns, hour.until_ns), hour.until_ns)
    finally:
        reader.close()


@pytest.mark.parametrize("kind", ["steady", "orderly_deploy", "single_slow_request", "restart_loop"])
def test_the_delivery_check_finds_an_hour_complete(kind: str, tmp_path: Path) -> None:
    judged = verdicts(make_hour(kind, "medium", 2, per_second=0.4), tmp_path / "store")
    assert len(judged) >= 2
    assert [one.sentence for one in judged if one.finding != "complete"] == []


@pytest.mark.parametrize(("kind", "dropped"), [("missing_events", 0), ("dropped_events", 5)])
def test_the_delivery_check_finds_what_was_lost(kind: str, dropped: int, tmp_path: Path) -> None:
    hour = make_hour(kind, "small", 2, per_second=1.0)
    judged = verdicts(hour, tmp_path / "store")
    assert overall(judged) == "missing"
    (verdict,) = [one for one in judged if one.finding == "missing"]
    assert verdict.node == hour.truth.accepted[0].worker
    assert verdict.missing == 5 - dropped


def test_lines_have_a_time_and_the_fields_of_the_event() -> None:
    hour = make_hour("steady", "clear", 1, per_second=0.1)
    lines = list(ndjson(hour))
    assert len(lines) == len(hour.entries)
    assert lines[0].startswith(b'{"@timestamp":"2026-11-')
