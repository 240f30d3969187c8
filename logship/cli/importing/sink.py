"""Where imported events go: a store on disk, or a collector over the Forward protocol (`connect.agent`)."""

import contextlib
import re
from pathlib import Path
from typing import Protocol

from logship.cli.output import talk
from logship.connect.agent import AgentConnection, Entries
from logship.connect.source import listens
from logship.errors import LogshipError
from logship.search.units import plural
from logship.settings import Settings, host_and_port


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


def sink_of(to: str | None, settings: Settings) -> Sink:
    """Return the sink for DIR or HOST:PORT; for None the local collector if it runs, else its store."""
    if to is None:
        if settings.forward != "off" and listens(*host_and_port(settings.forward, "forward")):
            return AgentConnection(settings.forward, settings)
        return StoreSink(Path(settings.store_dir))
    if re.fullmatch(r"(?:tls://)?[^/]*:\d+", to) or to.startswith("unix://"):
        return AgentConnection(to, settings)
    return StoreSink(Path(to))
