"""Marks: deploys, settings, the number of workers, restarts and crashes, from the events of workers."""

from collections.abc import Iterable

import pytest

from logship.forensics.marks import Mark, marks
from logship.search.query import Query
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS, worker_event
from tests.store.events import Entry

# The window begins 1,000 s after the workers.
WINDOW = Query(None, START_NS + 1_000 * SECOND, START_NS + 3_000 * SECOND)


def started(slot: int, at_s: float, version: str = "3.4.9", settings: Iterable[str] = (), run: int = 1) -> Entry:
    return worker_event(
        1, "worker-started", life=f"{slot:02d}{run:02d}" * 6, slot=slot, at_s=at_s, service__version=version,
        logship__settings=list(settings),
    )  # fmt: skip


def ended(slot: int, at_s: float, action: str = "worker-closed", run: int = 1, **more: object) -> Entry:
    return worker_event(9_000 + run, action, life=f"{slot:02d}{run:02d}" * 6, slot=slot, at_s=at_s, **more)


def beats(slots: int) -> list[Entry]:
    """Four workers are alive just before the window."""
    return [worker_event(500, "worker-heartbeat", life=f"{slot:02d}01" * 6, slot=slot, at_s=995) for slot in range(slots)]


def seen(store: Store, source: Reader, entries: Iterable[Entry]) -> list[Mark]:
    store.append(sorted(entries, key=lambda entry: entry[0]))
    return marks(source, WINDOW)


def before(workers: int = 4) -> list[Entry]:
    return [*(started(slot, slot / 10) for slot in range(workers)), *beats(workers)]


def restarted(slots: Iterable[int], at_s: float, version: str = "3.4.9", settings: Iterable[str] = ()) -> list[Entry]:
    """Workers that are shut down one after the other, and replaced."""
    return [
        entry
        for number, slot in enumerate(slots)
        for entry in (ended(slot, at_s + 20 * number), started(slot, at_s + 20 * number + 2, version, settings, run=2))
    ]


def test_nothing_is_marked_while_the_workers_run(store: Store, source: Reader) -> None:
    assert seen(store, source, before()) == []


def test_a_rolling_deploy_is_one_mark_with_its_version_and_workers(store: Store, source: Reader) -> None:
    (mark,) = seen(store, source, [*before(), *restarted(range(4), 2_000, "3.5.0")])
    assert (mark.kind, mark.service, mark.workers) == ("deploy", "shop", [f"h/shop/w{slot}" for slot in range(4)])
    assert (mark.time_ns, mark.until_ns) == (START_NS + 2_002 * SECOND, START_NS + 2_062 * SECOND)
    assert mark.sentence == "Version 3.5.0 started on 4 workers (before: 3.4.9)."
    assert source.count(Query()) > 4


def test_the_query_of_a_deploy_finds_the_starts_of_its_version(store: Store, source: Reader) -> None:
    from logship.search.kql import parse

    (mark,) = seen(store, source, [*before(), *restarted(range(2), 2_000, "3.5.0")])
    assert source.count(Query(parse(mark.query))) == 2


def test_a_deploy_to_one_worker_names_it_and_a_roll_back_is_the_next_mark(store: Store, source: Reader) -> None:
    back = [ended(3, 2_500, run=2), started(3, 2_502, run=3)]
    deploy, back_again = seen(store, source, [*before(), *restarted([3], 2_000, "3.5.0"), *back])
    assert deploy.sentence == "Version 3.5.0 started on w3 (before: 3.4.9)."
    assert back_again.sentence == "Version 3.4.9 started on w3 (before: 3.5.0)."


def test_settings_that_changed_are_named_with_both_values(store: Store, source: Reader) -> None:
    first = [started(0, 0, settings=["level=debug", "sample_ratio=0.5"]), *beats(1)]
    (mark,) = seen(store, source, [*first, *restarted([0], 2_000, settings=["sample_ratio=0.1", "console=on"])])
    assert mark.kind == "settings"
    assert mark.sentence == (
        "w0 started with other settings: console: (default) -> on; level: debug -> (default); sample_ratio: 0.5 -> 0.1."
    )


def test_settings_that_are_the_default_again_are_a_change(store: Store, source: Reader) -> None:
    (mark,) = seen(store, source, [started(0, 0, settings=["level=debug"]), *beats(1), *restarted([0], 2_000)])
    assert mark.sentence == "w0 started with other settings: level: debug -> (default)."


def test_more_and_fewer_workers_are_marked_with_both_numbers(store: Store, source: Reader) -> None:
    more = [started(4, 2_000), started(5, 2_001)]
    fewer = [ended(slot, 2_500 + slot) for slot in (3, 4, 5)]
    up, down = seen(store, source, [*before(), *more, *fewer])
    assert (up.kind, up.sentence) == ("workers", "shop has 6 workers (before: 4).")
    assert (down.kind, down.sentence) == ("workers", "shop has 3 workers (before: 6).")


def test_an_orderly_restart_without_a_change_is_a_restart(store: Store, source: Reader) -> None:
    (mark,) = seen(store, source, [*before(), *restarted([1], 2_000)])
    assert (mark.kind, mark.sentence, mark.workers) == ("restart", "w1 restarted.", ["h/shop/w1"])


def test_a_crash_is_a_mark_and_its_replacement_is_not_another(store: Store, source: Reader) -> None:
    lost = ended(2, 2_000, "worker-lost", logship__in_flight__count=3)
    (mark,) = seen(store, source, [*before(), lost, started(2, 2_001, run=2)])
    assert (mark.kind, mark.time_ns, mark.until_ns) == ("crash", START_NS + 2_000 * SECOND, START_NS + 2_000 * SECOND)
    assert mark.sentence == "w2 crashed, interrupting 3 requests."


@pytest.mark.parametrize("version", ["", "1.0"])
def test_the_first_start_of_a_service_is_a_start_not_a_deploy(store: Store, source: Reader, version: str) -> None:
    (mark,) = seen(store, source, [started(slot, 2_000 + slot, version) for slot in range(3)])
    assert mark.kind == "start"
    assert mark.sentence == ("shop started with 3 workers, version 1.0." if version else "shop started with 3 workers.")
