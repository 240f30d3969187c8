"""Where imported events go: a store on disk, or a collector over the Forward protocol (`connect.agent`)."""

import contextlib
from pathlib import Path
from typing import Protocol

from logship.cli.output import talk
from logship.connect.agent import Entries
from logship.errors import LogshipError
from logship.search.units import plural


class Sink(Protocol):
    """Accepts events; they are durable when `put` returns."""

    def put(self, entries: Entries) -> tuple[int, int]:
        """Return how many events were new, and how many were stored before. A collector reports all as new."""
        ...

    def close(self) -> None: ...


class StoreSink:
    """A store that no collector writes at the moment."""

    def __init__(self, directory: Path) -> None:
        from logship.settings import load
        from logship.store.write.store import Store

        self._store = Store(directory, integrity_key_file=load().integrity_key_file)

    def put(self, entries: Entries) -> tuple[int, int]:
        result = self._store.append(entries)
        if result.dead:
            talk(f"{plural(result.dead, 'event')} rejected: see the dead-letter file of the store")
        return result.stored, result.duplicates

    def seal(self) -> None:
        """Seal the logs, which queries would otherwise read. After an interrupted import the next writer does it."""
        with contextlib.suppress(LogshipError):
            self._store.seal()

    def close(self) -> None:
        self._store.close()
