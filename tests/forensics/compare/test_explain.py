"""The cause of an incident is the first reason; what was so before is not a reason."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from logship.forensics.compare.combinations import Counts
from logship.forensics.compare.explain import explain, independent

INCIDENTS = Path(__file__).parent / "incidents"


def incident(name: str, minute: int) -> tuple[list[str], dict[tuple[str, ...], Counts]]:
    sums: defaultdict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0] * 4)
    with (INCIDENTS / f"{name}.csv").open(newline="") as lines:
        rows = csv.DictReader(lines)
        names = [name for name in rows.fieldnames or () if name not in ("min", "value", "cnt")]
        for row in rows:
            at = int(row["min"])
            if minute - 240 <= at <= minute:
                counts = sums[tuple(row[name] for name in names)]
                counts[2 * (at == minute)] += float(row["cnt"])
                counts[2 * (at == minute) + 1] += float(row["value"])
    return names, {values: Counts(*counts) for values, counts in sums.items()}


@pytest.mark.parametrize(
    ("name", "minute", "cause"),
    [
        ("case22_0919_1272997391", 1568877900, {"bitrate": "2000"}),
        ("case20_0921_2227875499", 1569073740, {"cdn": "5", "p2p": "0"}),
        ("case_0806", 1596686820, {"cdn": "7", "bitrate": "500"}),
    ],
)
def test_the_cause_of_a_real_incident_is_the_first_reason(name: str, minute: int, cause: dict[str, str]) -> None:
    assert explain(*incident(name, minute))[0].fields == cause


def shop(
    before: dict[tuple[str, str], tuple[int, int]], after: dict[tuple[str, str], tuple[int, int]]
) -> list[dict[str, str]]:
    cells: dict[tuple[str, ...], Counts] = {values: Counts(*before[values], *after[values]) for values in before}
    names = ("route", "worker")
    return [reason.fields for reason in independent(names, cells, explain(names, cells))]


def test_a_route_that_fails_on_one_worker_is_a_pair() -> None:
    quiet = {(route, worker): (1000, 4) for route in ("/a", "/b") for worker in ("w0", "w1", "w2")}
    assert shop(quiet, quiet | {("/a", "w1"): (1000, 300)})[0] == {"route": "/a", "worker": "w1"}


def test_a_worker_whose_routes_all_fail_is_a_worker() -> None:
    quiet = {(route, worker): (1000, 4) for route in ("/a", "/b") for worker in ("w0", "w1", "w2")}
    assert shop(quiet, quiet | {("/a", "w1"): (1000, 150), ("/b", "w1"): (1000, 150)})[0] == {"worker": "w1"}


def test_what_was_so_before_is_not_a_reason() -> None:
    failing = {("/a", "w0"): (1000, 40), ("/b", "w0"): (1000, 0)}
    assert shop(failing, failing) == []
    assert shop(failing, {("/a", "w0"): (2000, 80), ("/b", "w0"): (2000, 0)}) == []


def test_a_worker_that_only_has_more_of_the_failing_route_is_not_a_reason() -> None:
    before = {("/a", "w0"): (900, 4), ("/b", "w0"): (100, 1), ("/a", "w1"): (100, 1), ("/b", "w1"): (900, 4)}
    after = {("/a", "w0"): (900, 180), ("/b", "w0"): (100, 1), ("/a", "w1"): (100, 20), ("/b", "w1"): (900, 4)}
    assert shop(before, after) == [{"route": "/a"}]


def test_two_causes_are_two_reasons() -> None:
    quiet = {(route, worker): (1000, 4) for route in ("/a", "/b", "/c", "/d") for worker in ("w0", "w1", "w2")}
    routes = {("/a", worker): (1000, 300) for worker in ("w0", "w1", "w2")}
    worker = {(route, "w1"): (1000, 300) for route in ("/b", "/c", "/d")}
    assert {tuple(fields.items()) for fields in shop(quiet, quiet | routes | worker)} == {
        (("route", "/a"),), (("worker", "w1"),),
    }  # fmt: skip


def test_a_value_that_is_new_is_compared_with_what_was_before() -> None:
    old = {("/a", "w0"): (1000, 4), ("/a", "w9"): (0, 0)}
    assert shop(old, old | {("/a", "w9"): (100, 50)}) == [{"worker": "w9"}]
    assert shop(old, {("/a", "w0"): (1000, 4), ("/a", "w9"): (1000, 4)}) == []


def test_counts_of_one_reason_are_exact() -> None:
    cells: dict[tuple[str, ...], Counts] = {("/a",): Counts(1000, 1, 1000, 101), ("/b",): Counts(1000, 0, 1000, 0)}
    (reason,) = explain(("route",), cells)
    assert reason.counts == cells[("/a",)]
    assert reason.explained == 1
    assert reason.p < 1e-20
