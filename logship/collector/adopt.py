"""Adoption by the collector: journals of dead workers whose agent we are, when no successor has come for them.

The state directory must be on this machine. Entries go to the store as if they had come over the wire, with the same
ids: what had arrived before is stored once."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from logship.errors import JournalUnreadable, LogshipError, StoreError
from logship.state import adopt, home
from logship.state.adopt import Orphan
from logship.state.identity import Cell, Facts
from logship.store.store import Appended
from logship.wire.entries import Entries, Limits, decode_entries

EVERY_SECONDS = 2.0
_LOOPBACK = {"localhost": "127.0.0.1", "[::1]": "127.0.0.1", "0.0.0.0": "127.0.0.1"}  # noqa: S104 - a name, not a bind

_logger = logging.getLogger("logship.collector")

Append = Callable[[Entries], Awaitable[Appended]]


class Adopter:
    """Looks every two seconds until it is cancelled. `everything`: adopt whatever agent a journal was meant for."""

    def __init__(self, state: Path, addresses: Collection[str], append: Append, everything: bool = False) -> None:
        self.adopted = 0
        self._state = state
        self._ours = {_plain(address) for address in addresses}
        self._append = append
        self._everything = everything
        self._unreadable: set[str] = set()
        self._said: set[str] = set()
        self._finder = Facts(host=socket.gethostname(), boot=_boot())

    async def run(self) -> None:
        """Adopt what there is, again and again. Trouble with one journal is said once and leaves the others alone."""
        await asyncio.to_thread(adopt.sweep_unfinished, self._state)
        while True:
            for name in await asyncio.to_thread(home.incarnations, self._state):
                if name not in self._unreadable:
                    try:
                        await self._look_at(self._state / "journals" / name)
                    except (JournalUnreadable, LogshipError, OSError, ValueError) as error:
                        self._trouble(name, error)
            await asyncio.sleep(EVERY_SECONDS)

    def _trouble(self, name: str, error: Exception) -> None:
        if not (self._state / "journals" / name).exists():
            return  # a worker of its service adopted it meanwhile
        if not isinstance(error, OSError | StoreError):
            self._unreadable.add(name)  # its bytes will not get better; a full disk may
        if name not in self._said:
            self._said.add(name)
            _logger.warning("journal %s is left as it is: %s", name, error)

    async def _look_at(self, directory: Path) -> None:
        if adopt.owner(directory) is not None or not directory.exists():
            return
        if not self._everything and _plain(adopt.known(directory).agent) not in self._ours:
            return
        orphan = adopt.adopt(directory)
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
        report = adopt.report_of(end, self._finder)
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


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
