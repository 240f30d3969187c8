"""The collector takes in what dead workers left: also when the store or another adopter came in between."""

import asyncio
import contextlib
import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest

from logship.collector import adopt
from logship.collector.adopt import Adopter
from logship.errors import StoreError
from logship.event import entry
from logship.state import home, locks, orphans
from logship.state.identity import Facts
from logship.state.journal import Journal
from logship.state.orphans import Orphan
from logship.store.write.store import Appended
from logship.wire.entries import Entries

AGENT = "127.0.0.1:24224"


def an_orphan(state: Path, agent: str = AGENT, events: int = 3) -> Path:
    """A journal whose owner is gone."""
    journal = Journal(home.open_home(state).journals, Facts(service="shop", agent=agent, role="process"), 8 << 20)
    for number in range(events):
        fields = {"message": f"event {number}"}
        journal.append((entry.begin(time.time_ns(), len(fields)), entry.pairs(fields)))
    assert journal.directory is not None
    locks.release(journal.directory / "lock")
    return journal.directory


class Stored:
    """Takes entries, but first fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.messages: list[object] = []
        self.failures = failures

    async def append(self, entries: Entries) -> Appended:
        if self.failures:
            self.failures -= 1
            raise StoreError("the disk is full")
        self.messages += [record["message"] for _, record in entries]
        return Appended(len(entries))


async def adopting(state: Path, stored: Stored, until_gone: Path) -> None:
    adopter = Adopter(state, [AGENT], stored.append)
    task = asyncio.create_task(adopter.run())
    try:
        async with asyncio.timeout(20):
            while until_gone.exists():
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_an_orphan_is_stored_with_its_end_and_removed(tmp_path: Path) -> None:
    stored = Stored()
    asyncio.run(adopting(tmp_path, stored, an_orphan(tmp_path)))
    assert stored.messages == ["event 0", "event 1", "event 2", "worker ended without a shutdown event"]
    assert home.Home(tmp_path).incarnations() == []


def test_a_store_that_fails_for_a_while_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(adopt, "EVERY_SECONDS", 0.01)
    caplog.set_level(logging.WARNING, "logship.collector")
    stored = Stored(failures=3)
    asyncio.run(adopting(tmp_path, stored, an_orphan(tmp_path)))
    assert stored.messages[:3] == ["event 0", "event 1", "event 2"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1, warnings


def test_what_was_meant_for_another_agent_stays(tmp_path: Path) -> None:
    theirs, ours = an_orphan(tmp_path, agent="elsewhere:24224"), an_orphan(tmp_path)
    asyncio.run(adopting(tmp_path, Stored(), ours))
    assert theirs.exists()


def test_a_journal_that_fails_in_an_unforeseen_way_costs_itself_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(adopt, "EVERY_SECONDS", 0.01)
    huge, hostile = an_orphan(tmp_path), an_orphan(tmp_path)
    for segment in huge.glob("*.segment"):
        with segment.open("ab") as file:
            file.truncate(8 * 2**40)
    take = orphans.adopt

    def adopt_or_fail(directory: Path) -> Orphan | None:
        if directory == hostile:
            raise MemoryError  # what a file does that was made for it
        return take(directory)

    monkeypatch.setattr(orphans, "adopt", adopt_or_fail)
    stored = Stored()
    asyncio.run(adopting(tmp_path, stored, an_orphan(tmp_path, events=2)))
    assert {"event 0", "event 1"} <= set(stored.messages)
    assert hostile.exists()
    assert [record.getMessage() for record in caplog.records if hostile.name in record.getMessage()]


def test_a_state_directory_that_cannot_be_listed_for_a_while_does_not_end_adoption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(adopt, "EVERY_SECONDS", 0.01)
    stored, orphan = Stored(), an_orphan(tmp_path)
    real, failures = os.scandir, [OSError("unmounted"), RuntimeError("unforeseen")]

    def flaky(path: str) -> Any:
        if failures:
            raise failures.pop()
        return real(path)

    monkeypatch.setattr(os, "scandir", flaky)
    asyncio.run(adopting(tmp_path, stored, orphan))
    assert stored.messages[:3] == ["event 0", "event 1", "event 2"]
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1, warnings
