"""Faults planted at random in what a store received of some workers: `verify` never says complete of a worker that lost events.

Each plan is played twice: with the faults, and without them, for verdicts that are never complete would prove nothing."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from logship.forensics.verify import verify
from logship.search.query import Query
from logship.store.damage import set_aside
from logship.store.files import log_name, read_listing
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.conftest import PROVE
from tests.forensics.lives import SECOND, START_NS, beat, older_event, requests
from tests.proofs.figures import row
from tests.store.events import Entry

PLANS = 200 if PROVE else 8
LATER = START_NS + 7200 * SECOND
ENDS = ("worker-closed", "worker-lost", "worker-ended")

pytestmark = pytest.mark.timeout(1800 if PROVE else 300)


@dataclass
class Life:
    """What a worker sent, and whether the store can have all of it."""

    id: str
    entries: list[Entry]
    faults: list[str] = field(default_factory=list)


def clean(number: int, chance: random.Random) -> Life:
    """A life with heartbeats, from its first event to its end."""
    id_, last = f"{number:024x}", chance.randrange(8, 60)
    entries = [
        beat(n, life=id_, slot=number) if n % 10 == 0 else requests([n], life=id_, slot=number)[0]
        for n in range(1, last)
    ]
    return Life(id_, [*entries, beat(last, chance.choice(ENDS), life=id_, slot=number)])


def lost_frame(life: Life, chance: random.Random) -> None:
    at = chance.randrange(len(life.entries) - 1)
    del life.entries[at : min(at + chance.randrange(1, 9), len(life.entries) - 1)]


def lost_end(life: Life, chance: random.Random) -> None:
    del life.entries[chance.randrange(1, len(life.entries)) :]


def forged_before(life: Life, chance: random.Random) -> None:
    """Somebody claims numbers before the worker has used them."""
    at = chance.randrange(1, len(life.entries))
    stolen = [(ns, {**record, "message": "forged"}) for ns, record in life.entries[at : at + 5]]
    life.entries[:0] = stolen


def forged_counters(life: Life, chance: random.Random) -> None:
    number = len(life.entries) + chance.randrange(1, 5000)
    forged = beat(number, life=life.id, at_s=chance.choice((1.0, 70.0, 9e6)))
    forged[1]["logship.emitted"] = number + chance.choice((0, 0, 5000))
    life.entries.insert(chance.randrange(len(life.entries)), forged)


def unreadable_journal(life: Life, chance: random.Random) -> None:
    life.entries[-1][1]["logship.journal.unreadable_bytes"] = chance.randrange(1, 10**6)


def dropped(life: Life, chance: random.Random) -> None:
    at = chance.randrange(len(life.entries) - 1)
    del life.entries[at]
    life.entries[-1][1]["logship.dropped.journal_full"] = 1


FAULTS: tuple[Callable[[Life, random.Random], None], ...] = (
    lost_frame, lost_end, forged_before, forged_counters, unreadable_journal, dropped,
)  # fmt: skip


def stored(directory: Path, lives: list[Life], chance: random.Random, damaged: int) -> dict[str, tuple[str, int, int]]:
    """Findings, stored events and duplicates by life, after the store took in everything in some order, some of it twice."""
    frames = [(life.entries[at : at + 7]) for life in lives for at in range(0, len(life.entries), 7)]
    with Store(directory, roll_records=40) as store:
        older_event(store)
        # An event of a clock that was not set, and one of the future.
        store.append([(1, {"message": "1970"}), (LATER + 10**18, {"message": "later"})])
        for frame in frames:
            store.append(frame)
            if chance.random() < 0.3:
                store.append(frame)
            if chance.random() < 0.2:
                store.seal()
        store.seal()
        for segment in chance.sample(read_listing(directory).segments[1:], damaged):
            set_aside(directory, segment, "planted")
            for log in range(segment.first, segment.last + 1):
                (directory / log_name(log)).unlink(missing_ok=True)
    source = Reader(directory, threads=1)
    found: dict[str, tuple[str, int, int]] = {}
    for one in verify(source, Query(), LATER):
        found[one.incarnation] = one.finding, one.stored, max(0, one.duplicates)
    source.close()
    return found


def judged(seed: int, directory: Path) -> list[tuple[str, int, int, bool]]:
    """The results of one plan of faults, for each life: a sentence, events not stored, duplicates, and whether the verdict is
    right."""
    chance = random.Random(seed)
    lives = [clean(number, chance) for number in range(1, 6)]
    emitted = {life.id: len(life.entries) for life in lives}
    for life in lives[1:]:
        for fault in chance.sample(FAULTS, chance.choice((0, 1, 1, 2))):
            if len(life.entries) > 2:
                fault(life, chance)
                life.faults.append(fault.__name__)
    damaged = chance.choice((0, 0, 1))
    findings = stored(directory, lives, chance, damaged)
    results = []
    for life in lives:
        finding, held, twice = findings.get(life.id, ("absent", 0, 0))
        said = f"plan {seed}: {life.faults or 'no fault'}, {damaged} damaged files, {held} of {emitted[life.id]}: {finding}"
        faulty = bool(life.faults) or held < emitted[life.id]
        results.append((said, max(0, emitted[life.id] - held), twice, (finding in ("complete", "absent")) != faulty))
    return results


def test_no_worker_that_lost_events_is_complete(tmp_path: Path) -> None:
    results = [result for seed in range(PLANS) for result in judged(seed, tmp_path / str(seed))]
    wrong = [said for said, _, _, right in results if not right]
    row(
        "lost frames and ends, forged events and counters, damaged files, clocks of 1970 and of the far future",
        "random faults planted in what 5 workers send, half of it sent twice; lost: what the faults took",
        f"{PLANS} plans, {len(results):,} runs",
        lost=sum(missing for _, missing, _, _ in results),
        doubled=sum(twice for _, _, twice, _ in results),
        wrong=len(wrong),
    )
    assert len(results) == 5 * PLANS
    assert wrong == []
