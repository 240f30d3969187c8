"""The hourly totals of a store, `hours.ndjson`: one line for each hour and service, oldest first.

    {"_c":"<crc32 of the rest>","start_ns":...,"service":"shop","requests":3600,...}      the fields of `Hour`

The file is small (400 bytes an hour and service) and always replaced as a whole, so that a crash leaves the old or the new
one. It keeps two years, and at most `LIMIT_BYTES`. One writer: the store's. Readers ignore damaged lines; the writer moves them
to `hours.bad`, where they stay."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import orjson

from logship.search.hourly import KEPT_NS, hour_of
from logship.search.query import Hour
from logship.store.files import write_durably
from logship.store.lines import keep_lines, split, with_sum

NAME = "hours.ndjson"
LIMIT_BYTES = 16 * 2**20


def read(directory: Path) -> tuple[list[Hour], list[bytes]]:
    """Return the hours of a store, oldest first, and the damaged lines. Nothing if there is no file."""
    try:
        data = (directory / NAME).read_bytes()
    except FileNotFoundError:
        return [], []
    good, bad = split(data)
    hours: list[Hour] = []
    for line in good:
        hour = hour_of(orjson.loads(line))
        if hour is None:
            bad.append(line)
        else:
            hours.append(hour)
    return sorted(hours, key=lambda hour: (hour.start_ns, hour.service)), bad


def write(directory: Path, hours: Iterable[Hour], now_ns: int) -> None:
    """Replace the hours of a store, without those that are too old, or too many. OSError if the disk refuses."""
    lines = [with_sum(orjson.dumps(asdict(hour)) + b"\n") for hour in hours if hour.start_ns >= now_ns - KEPT_NS]
    size = sum(map(len, lines))
    dropped = 0
    while size > LIMIT_BYTES:
        size -= len(lines[dropped])
        dropped += 1
    write_durably(directory / NAME, b"".join(lines[dropped:]))


def set_aside(directory: Path, lines: list[bytes]) -> Path:
    """Keep damaged lines in `hours.bad`, and return its path."""
    return keep_lines(directory / NAME, lines)
