"""Health of `logship up`: the counters of its collector, its HTTP server and its store."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from logship.errors import StoreError

if TYPE_CHECKING:
    from logship.collector.serve import Collector
    from logship.store.write.store import Store


def health(collector: "Collector", store: "Store", directory: Path, refused: Callable[[], int]) -> dict[str, object]:
    """Return all counters and gauges by name. `refused`: HTTP connections beyond the limit."""
    of_store = store.health()
    # A removed directory has no sizes. The status reports it; the counters are then needed most.
    with contextlib.suppress(StoreError, OSError):
        of_store |= _sizes(directory)
        of_store["oldest_unsealed_seconds"] = max(
            of_store["oldest_unsealed_seconds"], of_store["active_log_age_seconds"]
        )
    return {
        **collector.health(), "http_refused_total": refused(), "ack_seconds": collector.ack_seconds(), **of_store
    }  # fmt: skip


def _sizes(directory: Path) -> dict[str, float]:
    """Segments, bytes, and the seconds since the last write to the oldest log that is full but not sealed."""
    from logship.store.files import log_name, read_listing

    listing = read_listing(directory)
    full = {log_name(number) for number in listing.logs[:-1]}
    size_bytes, ages = 0, [0.0]
    for file in os.scandir(directory):
        with contextlib.suppress(FileNotFoundError):  # sealed or merged in the meantime
            status = file.stat()
            size_bytes += status.st_size
            if file.name in full:
                ages.append(time.time() - status.st_mtime)
    return {"segments": len(listing.segments), "store_bytes": size_bytes, "oldest_unsealed_seconds": max(ages)}
