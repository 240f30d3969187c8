"""Adoption by the collector: journals of dead workers whose agent we are, when no successor has come for them.

The state directory must be on this machine. Entries go to the store as if they had come over the wire, with the same
ids: what had arrived before is stored once."""

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
from logship.wire.entries import Entries, Limits, decode_entries

EVERY_SECONDS = 2.0
_LOOPBACK = {"localhost": "127.0.0.1", "[::1]": "127.0.0.1", "0.0.0.0": "127.0.0.1"}  # noqa: S104 - a name, not a bind

_logger = logging.getLogger("logship.collector")

Append = Callable[[Entries], Awaitable[Appended]]


class Adopter:
    """Looks every two seconds until it is cancelled. `everything`: adopt whatever agent a journal was meant for."""

    def __init__(self, state: Path, addresses: Collection[str], append: Append, everything: bool = False) -> None:
        self.adopted = 0
        self._home = Home(state)
        self._ours = {_plain(address) for address in addresses}
        self._append = append
        self._everything = everything
        self._unreadable: set[str] = set()
        self._said: set[str] = set()
        self._finder = Facts(host=socket.gethostname(), boot=boot_id())

    async def run(self) -> None:
        """Adopt what there is, again and again. Trouble with one journal is said once and leaves the others alone."""
        swept = False
        while True:
            try:
                if not swept:
                    await asyncio.to_thread(journal_directory.sweep_unfinished, self._home.path)
                    swept = True
                names = await asyncio.to_thread(self._home.incarnations)
            except Exception as error:  # noqa: BLE001 - adoption goes on when the directory is readable again
                self._unlisted(error)
            else:
                await self._look_at_all(names)
            await asyncio.sleep(EVERY_SECONDS)

    async def _look_at_all(self, names: list[str]) -> None:
        for name in names:
            if name not in self._unreadable:
                try:
                    await self._look_at(self._home.journal(name))
                except Exception as error:  # noqa: BLE001 - a hostile file (a hole of 8 TiB: MemoryError) costs itself only
                    self._trouble(name, error)

    def _unlisted(self, error: Exception) -> None:
        if "" not in self._said:
            self._said.add("")
            _logger.warning("journals of dead workers cannot be listed in %s, it is tried again: %s", self._home.path, error)

    def _trouble(self, name: str, error: Exception) -> None:
        if not self._home.journal(name).exists():
            return  # a worker of its service adopted it meanwhile
        if not isinstance(error, OSError | StoreError):
            self._unreadable.add(name)  # its bytes will not get better; a full disk may
        if name not in self._said:
            self._said.add(name)
            _logger.warning("journal %s is left as it is: %s", name, str(error) or type(error).__name__)

    async def _look_at(self, directory: Path) -> None:
        if survey.owner(directory) is not None or not directory.exists():
            return
        if not self._everything and _plain(survey.known_facts(directory).agent) not in self._ours:
            return
        orphan = orphans.adopt(directory)
        if orphan is None:
            return
        try:
            await self._ship(orphan)
        except BaseException:
            orphan.release()
            raise
        self.adopted += 1

    async def _ship(self, orphan: Orphan) -> None:
        events = 0
        for entries, mark in orphan.pending():
            await self._append(decode_entries(b"".join(entries), Limits()))
            orphan.advance(mark, len(entries))
            events += len(entries)
        end = orphan.end()
        report = end_report.report_of(end, self._finder)
        if report is not None:
            await self._append(decode_entries(report, Limits()))
        lost = orphan.set_aside()
        if lost:
            _logger.warning("journal %s is damaged: %s", orphan.directory.name, lost)
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
