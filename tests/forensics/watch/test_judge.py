"""What a watch reports: each finding once when it begins and once when it ends, however the window moves."""

from collections.abc import Mapping
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.forensics.incident.finding import IncidentKind, Outlier
from logship.forensics.watch.judge import LONGEST_NS, MINUTE_NS, QUIET_NS, judge
from logship.forensics.watch.memory import Memory, Notice, as_json, from_json
from logship.forensics.watch.window import BASELINE_NS, MARGIN_NS, WINDOW_NS, window_of

NOW_NS = 1_000_000 * MINUTE_NS


def at(minute: float) -> int:
    return NOW_NS + int(minute * MINUTE_NS)


def finding(
    began: float, ended: float | None = None, of: Mapping[str, str] | None = None, kind: IncidentKind = "failing",
    worker: str = "",
) -> Outlier:  # fmt: skip
    named: dict[str, str | list[str]] = dict(of or {})
    over = None if ended is None else (at(ended), at(ended))
    return Outlier(kind, f"{kind} {named}.", "a: b", (at(began), at(began)), over, "shop", worker, named, {"g": 50.0}, 50.0)


def rounds(*every: tuple[float, list[Outlier]]) -> list[tuple[float, str, str]]:
    """Do a round at each minute with its findings; return (minute, begin or end, sentence) of all notices."""
    memory = Memory()
    reported: list[tuple[float, str, str]] = []
    for minute, findings in every:
        memory, notices = judge(memory, findings, at(minute))
        memory = from_json(orjson.loads(orjson.dumps(as_json(memory))))  # each round may be in another process
        reported += [(minute, notice.kind, notice.finding.sentence) for notice in notices]
    return reported


def kinds(reported: list[tuple[float, str, str]]) -> list[tuple[float, str]]:
    return [(minute, kind) for minute, kind, _ in reported]


ROUTE = {"http.route": "/checkout"}


def test_a_finding_is_reported_when_a_second_round_has_it_and_not_again() -> None:
    same = finding(0, of=ROUTE)
    assert kinds(rounds((1, [same]), (2, [same]), (3, [same]), (40, [same]))) == [(2, "began")]


def test_a_finding_of_a_single_round_that_began_just_now_is_not_reported() -> None:
    assert rounds((1, [finding(0, of=ROUTE)]), (2, []), (3, [])) == []


def test_a_finding_that_is_old_when_it_is_first_seen_is_reported_at_once() -> None:
    assert kinds(rounds((20, [finding(0, of=ROUTE)]))) == [(20, "began")]


def test_a_crash_is_reported_at_once() -> None:
    crash = finding(0, 0, kind="death", worker="h/shop/w2")
    assert kinds(rounds((0.2, [crash]), (1, [crash]), (6, [crash]), (20, []))) == [(0.2, "began"), (6, "ended")]


def test_an_end_is_reported_once_when_it_is_over_for_a_while() -> None:
    on, over = finding(0, of=ROUTE), finding(0, 10, of=ROUTE)
    every = [(minute, [on if minute < 10 else over]) for minute in range(1, 40)]
    assert kinds(rounds(*every)) == [(2, "began"), (15, "ended")]


def test_a_finding_that_no_window_has_any_more_has_ended() -> None:
    on = finding(0, of=ROUTE)
    without: list[tuple[float, list[Outlier]]] = [(minute, []) for minute in range(4, 12)]
    assert kinds(rounds((1, [on]), (2, [on]), (3, [on]), *without)) == [(2, "began"), (8, "ended")]


def test_a_finding_that_flickers_is_reported_once() -> None:
    every = [(minute, [finding(0, of=ROUTE)] if minute % 4 < 2 else []) for minute in range(1, 30)]
    assert kinds(rounds(*every))[:1] == [(4, "began")]
    assert [kind for _, kind in kinds(rounds(*every))].count("began") == 1


def test_a_finding_that_ended_long_ago_and_begins_again_is_a_new_one() -> None:
    first = [(minute, [finding(0, 10, of=ROUTE)]) for minute in range(11, 30)]
    again = [(minute, [finding(40, of=ROUTE)]) for minute in range(41, 44)]
    assert kinds(rounds(*first, *again)) == [(11, "began"), (15, "ended"), (42, "began")]


def test_the_rest_of_an_ended_finding_at_the_edge_of_the_window_is_not_a_new_one() -> None:
    first = [(minute, [finding(0, 20, of=ROUTE)]) for minute in range(21, 30)]
    rest = [(minute, [finding(minute - 30, 20.5, of=ROUTE)]) for minute in range(40, 50)]
    assert kinds(rounds(*first, *rest)) == [(21, "began"), (25, "ended")]


@pytest.mark.parametrize(
    "later",
    [
        finding(0, of={**ROUTE, "error.type": "KeyError"}),
        finding(0.5, kind="deploy", of={**ROUTE, "service.version": "3.5.0"}),
        finding(1, of={"labels.tenant": "acme"}),
    ],
)
def test_a_finding_that_a_later_round_names_better_is_the_same(later: Outlier) -> None:
    on = finding(0, of=ROUTE)
    assert kinds(rounds((1, [on]), (2, [on]), (3, [later]), (4, [later]), (5, [on]))) == [(2, "began")]


def test_a_consequence_of_a_known_finding_is_not_a_second_one() -> None:
    blocked = finding(0, kind="stall", worker="h/shop/w1", of={"service.node.name": "h/shop/w1"})
    slow = finding(0.5, kind="slow", worker="h/shop/w1", of={"service.node.name": "h/shop/w1"})
    assert kinds(rounds((1, [slow]), (2, [slow]), (3, [blocked]), (4, [slow]), (5, [blocked]))) == [(2, "began")]


def test_an_error_whose_first_one_came_before_the_requests_failed_is_not_a_second_finding() -> None:
    tenant = finding(0, of={"labels.tenant": "acme"})
    error = finding(-4, kind="new_error", of={"http.route": "/invoices", "error.type": "KeyError"})
    assert kinds(rounds((1, [tenant]), (2, [tenant]), (3, [tenant, error]), (4, [tenant, error]))) == [(2, "began")]


def test_two_findings_at_a_time_are_both_reported() -> None:
    both = [finding(0, of=ROUTE), finding(0.2, of={"http.route": "/cart"})]
    assert kinds(rounds((1, both), (2, both), (3, both))) == [(2, "began"), (2, "began")]


def test_the_same_finding_of_another_service_is_another_one() -> None:
    both = [finding(0, of=ROUTE), replace(finding(0, of=ROUTE), service="billing")]
    assert kinds(rounds((1, both), (2, both))) == [(2, "began"), (2, "began")]


def test_begin_and_end_have_the_same_id_and_the_end_its_time() -> None:
    memory, notices = judge(Memory(), [finding(0, 10, of=ROUTE)], at(20))
    begin, end = notices
    assert (begin.kind, end.kind, begin.id == end.id) == ("began", "ended", True)
    assert (end.began_ns, end.ended_ns, end.usual) == (at(0), at(10), False)
    assert judge(memory, [finding(0, 10, of=ROUTE)], at(21))[1] == []


def test_what_lasts_for_hours_is_usual_and_its_notice_says_so() -> None:
    memory = Memory()
    notices: list[Notice] = []
    for minute in (1, 2, 200, LONGEST_NS // MINUTE_NS + 1):
        memory, new = judge(memory, [finding(0, of=ROUTE)], at(minute))
        notices += new
    _, last = judge(memory, [], at(LONGEST_NS // MINUTE_NS + 10))
    assert [notice.usual for notice in last] == [True]
    assert [notice.kind for notice in notices] == ["began"]


def test_the_window_has_the_newest_half_hour_and_an_hour_before_it() -> None:
    window, baseline = window_of(Memory(), NOW_NS)
    assert (window.since_ns, window.until_ns) == (NOW_NS - WINDOW_NS, NOW_NS)
    assert (baseline.since_ns, baseline.until_ns) == (NOW_NS - WINDOW_NS - BASELINE_NS, NOW_NS - WINDOW_NS)


def test_the_window_has_the_begin_of_what_is_open_and_the_time_without_rounds() -> None:
    memory, _ = judge(Memory(), [finding(0, of=ROUTE)], at(20))
    assert window_of(memory, at(60))[0].since_ns == at(0) - MARGIN_NS
    assert window_of(Memory(round_ns=at(0)), at(120))[0].since_ns == at(0) - MARGIN_NS
    assert window_of(Memory(round_ns=at(0)), at(6000))[0].since_ns == at(6000) - LONGEST_NS


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60))
def test_begins_and_ends_alternate_for_each_finding(seen: list[tuple[int, bool]]) -> None:
    memory, state = Memory(), dict[str, str]()
    for minute, (route, over) in enumerate(seen):
        own = finding(max(0, minute - 3), minute - 1 if over else None, of={"http.route": f"/{route}"})
        memory, notices = judge(memory, [own], at(minute))
        for notice in notices:
            assert (state.get(notice.id), notice.kind) in ((None, "began"), ("began", "ended"))
            state[notice.id] = notice.kind
    open_ = {entry.id for entry in memory.known if entry.reported and not entry.over}
    assert open_ == {id_ for id_, kind in state.items() if kind == "began"}


def test_the_known_findings_do_not_grow_without_an_end() -> None:
    memory = Memory()
    for hour in range(40):
        memory, _ = judge(memory, [finding(60 * hour, 60 * hour + 1, of={"http.route": f"/{hour}"})], at(60 * hour + 5))
    assert len(memory.known) <= (LONGEST_NS // MINUTE_NS // 60) + 3
    assert QUIET_NS < LONGEST_NS
