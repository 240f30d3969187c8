"""A finding is right if its kind is accepted and it names what was planted."""

from typing import Any

import pytest

from benchmarks.incident_hours.plan import SECOND, Accepted, Truth, truth_of
from benchmarks.incident_hours.score import right, score

ROUTE = Accepted(("failing",), {"http.route": "/cart"})
WORKER = Accepted(("death",), worker="web-1/8000/w2")
BEGAN_NS = 1_795_132_800 * SECOND


def finding(kind: str, began: object = None, worker: str = "", **fields: object) -> dict[str, Any]:
    return {
        "kind": kind, "sentence": "a sentence", "worker": worker, "began": began,
        "fields": {name.replace("__", "."): value for name, value in fields.items()},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("found", "accepted", "expected"),
    [
        (finding("failing", http__route="/cart"), ROUTE, True),
        (finding("failing", http__route=["/other", "/cart"]), ROUTE, True),
        (finding("slow", http__route="/cart"), ROUTE, False),
        (finding("failing", http__route="/carts"), ROUTE, False),
        (finding("failing"), ROUTE, False),
        (finding("death", worker="web-1/8000/w2"), WORKER, True),
        (finding("death", service__node__name="web-1/8000/w2"), WORKER, True),
        (finding("death", worker="web-1/8000/w1"), WORKER, False),
        (finding("new_pattern"), Accepted(("new_pattern",), words="a sent"), True),
        (finding("new_pattern"), Accepted(("new_pattern",), words="another"), False),
    ],
)
def test_right(found: dict[str, Any], accepted: Accepted, expected: bool) -> None:
    assert right(found, accepted) == expected


def test_the_rank_and_the_distance_of_the_beginning_are_those_of_the_first_right_finding() -> None:
    truth = Truth("failing_route", "clear", [ROUTE], BEGAN_NS, None, 30)
    began = ["2026-11-20T00:00:10.000000000Z", "2026-11-20T00:00:20.000000000Z"]
    result = score(truth, [finding("traffic"), finding("failing", began, http__route="/cart")])
    assert (result.rank, result.off_ns, result.said) == (2, 15 * SECOND, "traffic")


def test_any_finding_accuses_a_quiet_hour() -> None:
    result = score(Truth("steady", "clear", [], None, None, 0), [finding("slow", http__route="/cart")])
    assert (result.quiet, result.findings, result.said) == (True, 1, "slow http.route=/cart")


def test_a_truth_survives_json() -> None:
    truth = Truth("failing_route", "clear", [ROUTE, WORKER], BEGAN_NS, None, 30)
    import json
    from dataclasses import asdict

    assert truth_of(json.loads(json.dumps(asdict(truth)))) == truth
