"""Each thing that can go wrong gets its verdict, and nothing else does."""

from dataclasses import replace
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logship.forensics.verify import Verdict, overall, verify
from logship.search.kql import parse
from logship.search.query import Incarnation, Query, Source
from logship.search.times import from_rfc3339, rfc3339
from logship.store.damage import set_aside
from logship.store.files import log_name, read_listing
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.conftest import PROVE
from tests.forensics.lives import SECOND, START_NS, beat, older_event, requests, worker_event
from tests.store.events import LIFE, OTHER, Entry

LATER = START_NS + 7200 * SECOND


def judge(store: Store, source: Reader, entries: list[Entry], now_ns: int = LATER) -> Verdict:
    older_event(store)
    store.append(entries)
    (verdict,) = verify(source, Query(), now_ns)
    return verdict


def test_a_life_from_start_to_close_is_complete(store: Store, source: Reader) -> None:
    verdict = judge(store, source, [*requests(range(1, 10)), beat(10, "worker-closed")])
    assert (verdict.finding, verdict.stored, verdict.missing, verdict.state) == ("complete", 10, 0, "closed")
    assert verdict.sentence == "all 10 events are stored"


@pytest.mark.parametrize("end", ["worker-lost", "worker-ended"])
def test_a_life_with_a_report_of_its_end_is_complete(end: str, store: Store, source: Reader) -> None:
    verdict = judge(store, source, [*requests(range(1, 10)), beat(10, end)])
    assert (verdict.finding, verdict.state) == ("complete", end.removeprefix("worker-"))


def test_a_living_worker_is_complete_so_far(store: Store, source: Reader) -> None:
    entries = [*requests(range(1, 10)), beat(10), *requests([11, 12])]
    assert judge(store, source, entries, START_NS + 20 * SECOND).finding == "complete"


def test_lost_frames_are_missing_between_two_times(store: Store, source: Reader) -> None:
    verdict = judge(store, source, [*requests([1, 2, 3, 7, 8, 9]), beat(10, "worker-closed")])
    assert (verdict.finding, verdict.missing, verdict.gaps) == ("missing", 3, ((4, 6),))
    assert (verdict.gap_after, verdict.gap_before) == (rfc3339(START_NS + 3 * SECOND), rfc3339(START_NS + 7 * SECOND))
    span = f"between {verdict.gap_after} and {verdict.gap_before}"
    assert verdict.sentence == f"3 missing {span}, all of them lost after the agent had acknowledged them"


def test_what_the_agent_never_acknowledged_is_not_blamed_on_it(store: Store, source: Reader) -> None:
    end = beat(10, "worker-closed")
    end[1]["logship.acknowledged"] = 4
    verdict = judge(store, source, [*requests([1, 2, 3, 4, 8, 9]), end])
    assert (verdict.missing, verdict.after_acknowledgement) == (3, 0)
    assert verdict.sentence == f"3 missing between {verdict.gap_after} and {verdict.gap_before}"


def test_a_part_may_be_lost_after_it_was_acknowledged(store: Store, source: Reader) -> None:
    end = beat(10, "worker-closed")
    end[1]["logship.acknowledged"] = 7
    verdict = judge(store, source, [*requests([1, 2, 3]), end])
    assert (verdict.missing, verdict.after_acknowledgement) == (6, 4)
    assert "at least 4 of them lost after the agent had acknowledged them" in verdict.sentence


def test_what_is_lost_early_was_acknowledged_however_much_was_not_yet(store: Store, source: Reader) -> None:
    end = beat(12, "worker-closed")
    end[1]["logship.acknowledged"] = 7
    verdict = judge(store, source, [*requests([1, 2, 3, 7, 8, 9, 10, 11]), end])
    assert (verdict.missing, verdict.after_acknowledgement) == (3, 3)
    end = beat(12, "worker-closed", {"journal_full": 2}, life=OTHER)
    end[1]["logship.acknowledged"] = 7
    store.append([*requests([1, 2, 3, 7, 8, 9, 10, 11], life=OTHER), end])
    verdict = verify(source, Query(), LATER)[1]
    assert (verdict.missing, verdict.after_acknowledgement) == (1, 1)


def test_the_first_events_are_missed_too(store: Store, source: Reader) -> None:
    verdict = judge(store, source, [*requests(range(4, 10)), beat(10, "worker-closed")])
    assert (verdict.finding, verdict.missing, verdict.gap_after) == ("missing", 3, None)
    assert "between the beginning and" in verdict.sentence


def test_what_may_be_older_than_the_store_is_not_judged(store: Store, source: Reader) -> None:
    store.append([*requests(range(4, 10)), beat(10, "worker-closed")])
    (verdict,) = verify(source, Query(), LATER)
    assert (verdict.finding, verdict.missing, verdict.not_judged) == ("complete", 0, 3)
    assert verdict.sentence == "all 7 events are stored; 3 may be older than this store and are not judged"


def test_dropped_events_are_told_by_reason_and_are_not_missing(store: Store, source: Reader) -> None:
    verdict = judge(store, source, [*requests([1, 2, 3, 7, 8, 9]), beat(10, "worker-closed", {"journal_full": 3})])
    assert (verdict.finding, verdict.missing, verdict.dropped) == ("missing", 0, {"journal_full": 3})
    assert verdict.sentence == "dropped by the worker: 3 journal_full"


def test_drops_do_not_hide_other_losses(store: Store, source: Reader) -> None:
    verdict = judge(
        store, source, [*requests([1, 2, 7, 8]), beat(10, "worker-closed", {"refused": 2, "journal_full": 1})]
    )
    assert (verdict.missing, verdict.dropped) == (2, {"journal_full": 1, "refused": 2})


def test_a_cut_tail_is_unknown(store: Store, source: Reader) -> None:
    verdict = judge(store, source, [*requests(range(1, 10)), beat(10), *requests([11, 12])])
    assert (verdict.finding, verdict.state, verdict.missing) == ("unknown", "silent", 0)
    assert "no end was recorded" in verdict.sentence


def test_a_supervisor_that_has_nothing_to_say_is_complete(store: Store, source: Reader) -> None:
    def nameless(number: int) -> Entry:
        time_ns, record = worker_event(number, "supervisor-message")
        kept = {name: held for name, held in record.items() if not name.startswith(("logship.worker", "service.node"))}
        return time_ns, kept | role

    role: dict[str, object] = {}
    assert judge(store, source, [nameless(1), nameless(2)]).finding == "unknown", "a script may have died"
    role = {"logship.worker.role": "supervisor"}
    store.append([nameless(3)])
    (verdict,) = verify(source, Query(), LATER)
    assert (verdict.finding, verdict.state) == ("complete", "quiet")
    assert verdict.sentence.startswith("all 3 events are stored; supervisors send no heartbeats")
    store.append([nameless(5)])
    (verdict,) = verify(source, Query(), LATER)
    assert (verdict.finding, verdict.missing) == ("missing", 1)


def test_without_any_beat_gaps_are_missing_and_the_tail_is_unknown(store: Store, source: Reader) -> None:
    verdict = judge(store, source, requests([1, 2, 5]))
    assert (verdict.finding, verdict.missing, verdict.judged_to) == ("missing", 2, 5)
    assert "are unknown" in verdict.sentence
    assert verify(source, Query(), START_NS)[0].finding == "unknown"


def test_gaps_after_the_newest_beat_of_a_living_worker_wait_for_the_next(store: Store, source: Reader) -> None:
    entries = [*requests(range(1, 10)), beat(10), *requests([11, 15])]
    verdict = judge(store, source, entries, START_NS + 20 * SECOND)
    assert (verdict.finding, verdict.missing, verdict.judged_to) == ("unknown", 0, 10)
    assert "next heartbeat" in verdict.sentence
    store.append([beat(16, dropped={"journal_full": 3})])
    assert verify(source, Query(), START_NS + 20 * SECOND)[0].dropped == {"journal_full": 3}
    store.append(requests([12, 13, 14]))
    assert verify(source, Query(), START_NS + 20 * SECOND)[0].finding == "complete"


def test_a_clock_that_steps_forward_changes_nothing(store: Store, source: Reader) -> None:
    entries = [worker_event(n, "http-request", at_s=n if n < 5 else n + 86400) for n in range(1, 10)]
    verdict = judge(store, source, [*entries, beat(10, "worker-closed", at_s=86410)], LATER + 2 * 86400 * SECOND)
    assert verdict.finding == "complete"


def test_lives_of_one_worker_are_judged_one_by_one(store: Store, source: Reader) -> None:
    older_event(store)
    lives = [f"{number:024x}" for number in range(1, 4)]
    for at, life in enumerate(lives):
        end = beat(8, ("worker-lost", "worker-closed", "worker-ended")[at], life=life, at_s=100 * at + 8)
        store.append([*requests(range(1, 8), life=life), end])
    assert [(one.incarnation, one.finding) for one in verify(source, Query(), LATER)] == [
        (life, "complete") for life in lives
    ]


def test_what_was_sent_again_is_not_duplicated(store: Store, source: Reader) -> None:
    entries = [*requests(range(1, 10)), beat(10, "worker-closed")]
    store.append(entries)
    store.seal()
    store.append(entries)
    assert judge(store, source, entries).finding == "complete"


def test_a_clock_that_steps_back_changes_nothing(store: Store, source: Reader) -> None:
    entries = [worker_event(n, "http-request", at_s=n if n < 5 else n - 3000) for n in range(1, 10)]
    assert judge(store, source, [*entries, beat(10, "worker-closed", at_s=-2990)]).finding == "complete"


def test_events_stored_twice_are_duplicated(store: Store, source: Reader) -> None:
    older_event(store)
    store.append([*requests([1, 2]), beat(3, "worker-closed")])
    store.seal()
    # A copy of a segment, as somebody would make who merges two directories by hand.
    segment = next(store.directory.glob("*.parquet"))
    store.close()
    first, last = "00000000-00000000", "00000001-00000001"
    (store.directory / segment.name.replace(first, last)).write_bytes(segment.read_bytes())
    for log in store.directory.glob("*.ndjson"):
        log.unlink()
    (verdict,) = verify(source, Query(), LATER)
    assert (verdict.finding, verdict.duplicates) == ("duplicated", 3)
    assert verdict.sentence == "3 stored more than once"


def test_every_life_in_the_question_gets_a_verdict_and_the_gravest_counts(store: Store, source: Reader) -> None:
    older_event(store)
    store.append([*requests([1]), beat(2, "worker-closed")])
    assert overall(verify(source, Query(), LATER)) == "complete"
    store.append(requests([1, 2], life=OTHER, slot=1))
    assert overall(verify(source, Query(), LATER)) == "unknown"
    store.append(requests([5], life=OTHER, slot=1))
    assert [(one.incarnation, one.finding) for one in verify(source, Query(), LATER)] == [
        (LIFE, "complete"), (OTHER, "missing"),
    ]  # fmt: skip
    assert overall(verify(source, Query(), LATER)) == "missing"
    assert overall([]) == "unknown"


@settings(max_examples=40 if PROVE else 8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_clean_runs_are_complete_however_they_arrive(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory, lives = tmp_path_factory.mktemp("store"), [f"{number:024x}" for number in range(1, 4)]
    pending: list[Entry] = []
    for slot, life in enumerate(lives):
        end = data.draw(st.sampled_from(("worker-closed", "worker-lost", "worker-ended")))
        pending += [*requests(range(1, 12), life=life, slot=slot), beat(12, end, life=life, slot=slot)]
    store = Store(directory, roll_records=5)
    older_event(store)
    for batch in data.draw(st.permutations(range(0, len(pending), 4))):
        entries = pending[batch : batch + 4]
        store.append(entries)
        match data.draw(st.sampled_from(("go on", "again", "seal", "restart"))):
            case "again":
                store.append(entries)
            case "seal":
                store.seal()
            case "restart":
                store.close()
                store = Store(directory, roll_records=5)
    store.close()
    source = Reader(directory, threads=1)
    verdicts = verify(source, Query(), LATER)
    source.close()
    assert [(one.finding, one.stored) for one in verdicts] == [("complete", 12)] * 3


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_is_planted_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    last = data.draw(st.integers(3, 30))
    lost = data.draw(st.sets(st.integers(1, last - 1), max_size=8))
    dropped = data.draw(st.sets(st.sampled_from(sorted(lost)))) if lost else set()
    with Store(tmp_path_factory.mktemp("store")) as store:
        source = Reader(store.directory, threads=1)
        kept = [number for number in range(1, last) if number not in lost]
        verdict = judge(store, source, [*requests(kept), beat(last, "worker-closed", {"journal_full": len(dropped)})])
        source.close()
    assert verdict.missing == len(lost - dropped)
    assert verdict.finding == ("missing" if lost else "complete")
    assert {n for low, high in verdict.gaps for n in range(low, high + 1)} == lost


def test_an_event_that_came_with_other_content_is_a_conflict(store: Store, source: Reader) -> None:
    older_event(store)
    store.append([worker_event(n, "http-request", message="forged") for n in range(3, 6)])
    store.append([*requests(range(1, 10)), beat(10, "worker-closed")])
    (verdict,) = verify(source, Query(), LATER)
    assert (verdict.finding, verdict.conflicts, verdict.missing, verdict.duplicates) == ("conflict", 3, 0, 0)
    assert verdict.sentence.startswith("3 events arrived twice with different content (conflict), both are kept")
    assert verdict.where in verdict.sentence
    assert source.count(Query(parse(verdict.where))) == 3
    assert overall([verdict]) == "conflict"


def forged(number: int, **fields: object) -> Entry:
    time_ns, record = beat(number, at_s=30)
    return time_ns, record | {name.replace("__", "."): value for name, value in fields.items()}


@pytest.mark.parametrize(
    "beats",
    [
        [forged(51, logship__emitted=10_000)],
        [forged(5000, logship__acknowledged=5000)],
        [forged(5000, logship__acknowledged=-1)],
        # The worker goes on with lower numbers, and later.
        [forged(5000), *requests(range(51, 60))],
        [beat(51, "worker-lost"), forged(5000)],
        [(LATER + 3600 * SECOND, forged(5000)[1])],
    ],
    ids=["emitted", "acknowledged itself", "negative", "older than lower numbers", "after its end", "in the future"],
)
def test_counters_that_contradict_the_events_are_a_conflict_and_blame_nobody(
    beats: list[Entry], store: Store, source: Reader
) -> None:
    verdict = judge(store, source, [*requests(range(1, 51), at_s=20), *beats])
    assert (verdict.finding, verdict.after_acknowledgement) == ("conflict", 0)
    assert "contradict" in verdict.sentence
    assert source.count(Query(parse(verdict.where))) >= 1


@pytest.mark.parametrize("id_", [f"{OTHER}-000000000007", "no id of ours", f"{LIFE}-000000000011"])
def test_the_counters_of_a_worker_come_from_its_own_events(id_: str, store: Store, source: Reader) -> None:
    foreign = beat(5000)
    foreign[1]["event.id"] = id_
    verdict = judge(store, source, [*requests(range(1, 10)), beat(10, "worker-closed"), foreign])
    assert (verdict.missing, verdict.judged_to) == (0, 11 if id_.startswith(LIFE) else 10)


@pytest.mark.parametrize("text", ["1970-01-01T00:00:01Z", "2001-01-01T00:00:00Z"])
def test_a_clock_that_was_not_set_does_not_make_the_store_older(text: str, store: Store, source: Reader) -> None:
    store.append([(from_rfc3339(text), {"message": "a clock that was not set"})])
    store.append([*requests(range(4, 10)), beat(10, "worker-closed")])
    (verdict,) = verify(source, Query(), LATER)
    assert (verdict.finding, verdict.missing, verdict.not_judged) == ("complete", 0, 3)


@pytest.mark.parametrize("strange", ["1970-01-01T00:00:01Z", "2026-11-01T00:00:00Z", "2105-01-01T00:00:00Z"])
def test_what_retention_removed_is_not_judged_whatever_the_clock_of_others(
    strange: str, store: Store, source: Reader
) -> None:
    store.append([*requests(range(1, 101))])
    store.seal()
    store.append([*requests(range(101, 150)), beat(150, "worker-closed")])
    store.seal()
    for part in store.directory.glob("00000000*"):  # as retention does, the oldest first
        part.unlink()
    store.append([(from_rfc3339(strange), {"message": "of a wrong clock"})])
    (verdict,) = verify(source, Query(), LATER)
    assert (verdict.finding, verdict.missing, verdict.not_judged) == ("complete", 0, 100)
    assert "100 may be older than this store and are not judged" in verdict.sentence


def test_a_worker_of_the_future_is_not_alive(store: Store, source: Reader) -> None:
    verdict = judge(store, source, [*requests(range(1, 10)), beat(10)], START_NS - 3600 * SECOND)
    assert (verdict.finding, verdict.state) == ("unknown", "silent")
    assert "in the future" in verdict.sentence


def test_a_journal_that_could_not_be_read_is_never_complete(store: Store, source: Reader) -> None:
    end = beat(10, "worker-lost", logship__journal__unreadable_bytes=4096, logship__journal__unreadable_events=7)
    verdict = judge(store, source, [*requests(range(1, 10)), end])
    assert (verdict.finding, verdict.unreadable_bytes, verdict.unreadable_events) == ("unknown", 4096, 7)
    assert verdict.sentence == "4096 bytes, 7 events, of its journal could not be read"


def test_a_count_that_does_not_add_up_is_no_negative_number_of_repetitions(store: Store, source: Reader) -> None:
    class Damaged:
        """A source whose index says that there are more events than it has."""

        def __getattr__(self, name: str) -> object:
            return getattr(source, name)

        def incarnations(self, query: Query) -> list[Incarnation]:
            return [replace(life, duplicates=-4000) for life in source.incarnations(query)]

    older_event(store)
    store.append([*requests(range(1, 10)), beat(10, "worker-closed")])
    (verdict,) = verify(cast(Source, Damaged()), Query(), LATER)
    assert verdict.finding == "unknown"
    assert "more than once" not in verdict.sentence


def damage(store: Store, *, sidecar: bool) -> None:
    """Set the first segment aside as the store does, with its list of ids or without."""
    segment = read_listing(store.directory).segments[0]
    set_aside(store.directory, segment, "a test")
    (store.directory / log_name(segment.first)).unlink(missing_ok=True)
    if not sidecar:
        (store.directory / segment.ids_name).unlink()


def test_events_in_a_damaged_file_are_missing_and_it_is_said_where_they_are(store: Store, source: Reader) -> None:
    older_event(store)
    store.append(requests(range(1, 6)))
    store.seal()
    store.append([*requests(range(6, 10)), beat(10, "worker-closed")])
    store.seal()
    damage(store, sidecar=True)
    (verdict,) = verify(source, Query(), LATER)
    assert (verdict.finding, verdict.missing, verdict.damaged) == ("missing", 5, 5)
    assert "5 are in damaged files that the store has set aside" in verdict.sentence


def test_a_worker_whose_events_are_all_in_a_damaged_file_is_not_forgotten(store: Store, source: Reader) -> None:
    older_event(store)
    store.append([*requests(range(1, 10)), beat(10, "worker-closed")])
    store.seal()
    store.append([*requests(range(1, 10), life=OTHER, slot=1), beat(10, "worker-closed", life=OTHER, slot=1)])
    store.seal()
    damage(store, sidecar=True)
    found = {one.incarnation: one for one in verify(source, Query(), LATER)}
    assert (found[LIFE].finding, found[LIFE].damaged, found[LIFE].stored) == ("missing", 10, 0)
    assert found[OTHER].finding == "complete"


def test_a_damaged_file_of_unknown_content_leaves_nobody_of_its_time_complete(store: Store, source: Reader) -> None:
    older_event(store)
    store.append(requests([3], life=OTHER))
    store.seal()
    store.append([*requests(range(1, 10)), beat(10, "worker-closed")])
    damage(store, sidecar=False)
    (verdict,) = verify(source, Query(), LATER)
    assert verdict.finding == "unknown"
    assert "1 files of its time are damaged" in verdict.sentence
