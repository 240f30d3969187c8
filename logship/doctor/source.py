"""The source: whether it can be queried, and what it shows about the last 15 minutes."""

import time
from collections.abc import Iterator

from logship.connect.source import damage_sentence, find_source, open_address
from logship.doctor import workers
from logship.doctor.check import Check
from logship.errors import SourceError
from logship.search.integrity import integrity
from logship.search.query import Damageable, Query, Source
from logship.search.units import duration
from logship.settings import Settings

RECENT_NS = 15 * 60 * 10**9


def checks(settings: Settings) -> Iterator[Check]:
    """Yield checks of the connection, of damaged files, and of the workers that the source knows."""
    try:
        address = find_source(settings)
        source = open_address(address, settings)
        oldest_ns = source.oldest_ns()
    except SourceError as error:
        yield Check("look", "source", str(error), "events can still be collected, but not queried here")
        return
    if address.notice:
        yield Check("look", "source", f"{address.notice}; its store is read", "start the collector: logship up")
    if oldest_ns is None:
        yield Check("look", "source", f"{address.address} has no events yet", "start your service with: logship run")
        return
    age = duration(time.time_ns() - oldest_ns)
    yield Check("good", "source", f"{address.address} is available; its oldest event is {age} old")
    yield from _damage(source)
    yield from _changed(source)
    yield from workers.checks(source, settings)


def _changed(source: Source) -> Iterator[Check]:
    """The chain and the names of all files are compared; the content only of the files of the last 15 minutes."""
    found = integrity(source, Query(since_ns=time.time_ns() - RECENT_NS))
    if found.finding == "changed":
        yield Check("wrong", "store", found.sentence, "logship verify checks all files; keep them as evidence")


def _damage(source: Source) -> Iterator[Check]:
    if isinstance(source, Damageable):
        source.count(Query())  # a store without a writer detects damage only when it is read
        for file in source.set_aside():
            yield Check("wrong", "store", damage_sentence(file), "the file is kept; replace it if you have a copy")
