"""The journals of a state directory: who wrote each of them, and whether its owner is alive."""

from dataclasses import dataclass
from pathlib import Path

from logship.errors import JournalUnreadable, StateUnusable
from logship.state import identity, locks
from logship.state.home import Home
from logship.state.identity import Facts


@dataclass(frozen=True, slots=True)
class FoundJournal:
    """One journal: a copy of its identity table, and the pid of its owner, None for an orphan."""

    directory: Path
    snapshot: identity.IdentitySnapshot
    owner: int | None


def survey(state: Path) -> tuple[list[FoundJournal], list[str]]:
    """Return the readable journals of the state directory `state`, oldest first, and a sentence about each other one."""
    journals, problems = [], []
    home = Home(state)
    try:
        home.check()
        problems += [f"{path} is not a directory; it is ignored" for path in home.strangers()]
    except StateUnusable as error:
        problems.append(f"nothing is written or adopted here: {error}")
    except OSError:
        pass  # the directory does not exist, or this user may not read it
    for name in home.incarnations():
        directory = home.journal(name)
        try:
            known_facts(directory)
            journals.append(FoundJournal(directory, identity.read(directory), owner(directory)))
        except JournalUnreadable as error:
            if directory.exists():
                problems.append(str(error))
    return journals, problems


def known_facts(directory: Path) -> Facts:
    """Return who wrote the journal at `directory` and its agent. JournalUnreadable if they are damaged."""
    snapshot = identity.read(directory)
    if snapshot.damaged:
        raise JournalUnreadable(
            f"{directory / 'identity'} is damaged (its checksum is wrong): the service and the agent of the journal are "
            "unknown; to store its events: logship up --adopt"
        )
    return snapshot.facts


def owner(directory: Path) -> int | None:
    """Return the pid of the process that owns the journal at `directory`, None for an orphan."""
    return locks.holder(directory / "lock")
