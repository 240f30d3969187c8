"""Journals: those in use, those that grow faster than they are delivered, and those that dead workers left."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from logship.doctor.check import Check
from logship.search.units import plural, size
from logship.settings import Settings
from logship.state import aside
from logship.state.identity import Cell
from logship.state.journal_directory import size_bytes
from logship.state.survey import FoundJournal, survey

# A journal that holds more than this and grows is not delivered, or not fast enough.
BACKLOG_BYTES, BACKLOG_EVENTS = 2**20, 1000
SAMPLE_SECONDS = 1.0
WHAT = "journals"
KEPT = {"refused": "records that the agent refused", "unreadable": "damaged journal segments"}


def checks(settings: Settings) -> Iterator[Check]:
    """Yield a check for each problem, and a good one if no journal is left behind or unreadable."""
    state = Path(settings.state_dir)
    if not state.is_dir():
        yield Check("look", WHAT, "no worker has used this state directory", "use the LOGSHIP_STATE_DIR of the service")
        return
    journals, unreadable = survey(state)
    orphans = [journal for journal in journals if journal.owner is None]
    in_use = [journal for journal in journals if journal.owner is not None]
    for problem in unreadable:
        yield Check("look", WHAT, problem, "it is kept unchanged; a newer logship may be able to read it")
    yield from _set_aside(state)
    yield from map(_orphan, orphans)
    yield from _growing(state, in_use)
    if not orphans and not unreadable:
        yield Check("good", WHAT, f"{len(in_use)} in use, none left behind")


def _set_aside(state: Path) -> Iterator[Check]:
    for folder, (files, held_bytes) in aside.held(state).items():
        content = f"{KEPT[folder.name]}: {plural(files, 'file')}, {size(held_bytes)}"
        limit = f"beyond {size(aside.LIMIT_BYTES)} no more is kept"
        yield Check("look", WHAT, f"{folder} holds {content}", f"inspect them, then move or delete them; {limit}")


def _orphan(journal: FoundJournal) -> Check:
    facts = journal.snapshot.facts
    found = f"undelivered journal left by {facts.service} (pid {facts.pid}, {size(size_bytes(journal.directory))})"
    advice = "start the service again, or adopt it with: logship up --adopt"
    return Check("look", WHAT, f"{found}; its agent was {facts.agent}", advice)


def _growing(state: Path, in_use: Sequence[FoundJournal]) -> Iterator[Check]:
    """Sample the number of undelivered events twice."""
    if not in_use:
        return
    before = _waiting(state)
    time.sleep(SAMPLE_SECONDS)
    after = _waiting(state)
    for journal in in_use:
        snapshot = journal.snapshot
        waiting = after.get(snapshot.incarnation, 0)
        growth = waiting - before.get(snapshot.incarnation, 0)
        if waiting > BACKLOG_EVENTS and growth > 0 and size_bytes(journal.directory) > BACKLOG_BYTES:
            slot = f" w{snapshot.slot}" if snapshot.slot is not None else ""
            worker = f"{snapshot.facts.service}{slot} (pid {journal.owner})"
            found = f"{worker} has {waiting:,} undelivered events, {growth:,} more than a second ago"
            yield Check("wrong", WHAT, found, f"check the agent {snapshot.facts.agent}: it does not accept them fast enough")


def _waiting(state: Path) -> Mapping[str, int]:
    """The number of undelivered events of each journal, by incarnation."""
    cells = {journal.snapshot.incarnation: journal.snapshot.cells for journal in survey(state)[0]}
    return {name: cell[Cell.SEQUENCE] - cell[Cell.ACKNOWLEDGED] for name, cell in cells.items()}
