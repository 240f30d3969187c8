"""Adoption by the collector: the journals of workers that have ended and whose agent was this collector.

The state directory must be on this machine. Entries are stored as if they had been received, with the same ids, so that
an event that had arrived before is stored once."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from logship.errors import StoreError
from logship.state import end_report, journal_directory, orphans, survey
from logship.state.home import Home
from logship.state.identity import Cell, Facts
from logship.state.orphans import Orphan
from logship.state.processes import boot_id
from logship.store.write.store import Appended
from logship.wire.entries import Entries, EntryLimits, decode_entries

EVERY_SECONDS = 2.0
_LOOPBACK = {"localhost": "127.0.0.1", "[::1]": "127.0.0.1", "0.0.0.0": "127.0.0.1"}  # noqa: S104 - a name, not a bind

_logger = logging.getLogger("logship.collector")

Append = Callable[[Entries], Awaitable[Appended]]


class Adopter:
    """Adopts orphans every two seconds. `everything`: also those whose agent is not this collector."""

    def __init__(self, state: Path, addresses: Collection[str], append: Append, everything: bool = False) -> None:
        self._home = Home(state)
        self._addresses = {_plain(address) for address in addresses}
        self._append = append
        self._everything = everything
        self._skipped: set[str] = set()
        self._logged: set[str] = set()
        self._finder = Facts(host=socket.gethostname(), boot=boot_id())

    async def run(self) -> None:
        """Adopt orphans until cancelled. A problem with one journal is logged once and does not affect the others."""
        swept = False
        while True:
            try:
                if not swept:
                    await asyncio.to_thread(journal_directory.sweep_unfinished, self._home.path)
                    swept = True
                names = await asyncio.to_thread(self._home.incarnations)
            except Exception as error:  # noqa: BLE001 - adoption continues when the directory is readable again
                self._log_unlisted(error)
            else:
                await self._adopt_all(names)
            await asyncio.sleep(EVERY_SECONDS)

    async def _adopt_all(self, names: list[str]) -> None:
        for name in names:
            if name not in self._skipped:
                try:
                    await self._adopt(self._home.journal(name))
                except Exception as error:  # noqa: BLE001 - a hostile file (a hole of 8 TiB: MemoryError) affects itself only
                    self._log_problem(name, error)

    def _log_unlisted(self, error: Exception) -> None:
        if "" not in self._logged:
            self._logged.add("")
            _logger.warning("cannot list the journals in %s, will retry: %s", self._home.path, error)

    def _log_problem(self, name: str, error: Exception) -> None:
        if not self._home.journal(name).exists():
            return  # a worker of the service has adopted it meanwhile
        if not isinstance(error, OSError | StoreError):
            self._skipped.add(name)  # its content will not change; a full disk may become free
        if name not in self._logged:
            self._logged.add(name)
            _logger.warning("journal %s is not adopted: %s", name, str(error) or type(error).__name__)

    async def _adopt(self, directory: Path) -> None:
        if survey.owner(directory) is not None or not directory.exists():
            return
        if not self._everything and _plain(survey.known_facts(directory).agent) not in self._addresses:
            return
        orphan = orphans.adopt(directory)
        if orphan is None:
            return
        try:
            await self._ship(orphan)
        except BaseException:
            orphan.release()
            raise

    async def _ship(self, orphan: Orphan) -> None:
        events = 0
        for entries, mark in orphan.pending():
            await self._append(decode_entries(b"".join(entries), EntryLimits()))
            orphan.advance(mark, len(entries))
            events += len(entries)
        end = orphan.end()
        report = end_report.report_of(end, self._finder)
        if report is not None:
            await self._append(decode_entries(report, EntryLimits()))
        problem = orphan.set_aside()
        if problem:
            _logger.warning("journal %s is damaged: %s", orphan.directory.name, problem)
        orphan.remove()
        if events or report is not None:
            slot = orphan.cells[Cell.SLOT]
            _logger.info(
                "adopted the journal of %s%s (pid %d): %d events",
                orphan.facts.service,
                f" w{slot - 1}" if slot else "",
                orphan.facts.pid,
                events,
            )


def _plain(address: str) -> str:
    host, colon, port = address.removeprefix("tcp://").rpartition(":")
    return f"{_LOOPBACK.get(host, host)}{colon}{port}" if colon and not address.startswith("unix:") else address
