"""An hour in a store of logship's own writer, or as lines of JSON."""

from collections.abc import Iterator
from pathlib import Path

import orjson

from benchmarks.incident_hours.hour import Hour
from logship.search.times import rfc3339
from logship.store.write.store import Store

BATCH = 5_000


def fill_store(hour: Hour, directory: Path) -> int:
    """Write the events into the store in `directory`, sealed as after a while; return their number."""
    stored = 0
    with Store(directory) as store:
        for at in range(0, len(hour.entries), BATCH):
            stored += store.append(hour.entries[at : at + BATCH]).stored
        store.seal()
    return stored


def ndjson(hour: Hour) -> Iterator[bytes]:
    """Yield the events as lines that `logship import` takes."""
    for at_ns, record in hour.entries:
        yield orjson.dumps({"@timestamp": rfc3339(at_ns), **record}, option=orjson.OPT_APPEND_NEWLINE)
