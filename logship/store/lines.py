"""The lines of a log, each with a checksum, so that a damaged line is noticed and costs one record.

    {"_c":"<crc32 of all that follows the comma, newline included>","_n":...}

JSON readers ignore `_c`. A line without it (from an earlier release) is intact if it is valid JSON."""

import io
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from logship.store.files import write_durably

_HEAD = b'{"_c":"'
_HEAD_BYTES = len(_HEAD) + 8 + len(b'",')
_OLD_HEAD = b'{"_n":'
_NUMBERED = re.compile(rb'^\{(?:"_c":"[^"]{8}",)?"_n":(\d+),', re.MULTILINE)


def with_sum(line: bytes) -> bytes:
    """Return the line of a JSON object with its checksum as the first key."""
    rest = line[1:]
    return b'{"_c":"%08x",%b' % (zlib.crc32(rest), rest)


def intact(line: bytes) -> bool:
    """Return whether a line, newline included, matches its checksum."""
    if line.startswith(_HEAD):
        return line[len(_HEAD) : _HEAD_BYTES] == b'%08x",' % zlib.crc32(line[_HEAD_BYTES:])
    if not line.startswith(_OLD_HEAD):
        return False
    try:
        return isinstance(orjson.loads(line), dict)
    except ValueError:
        return False


def split(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the intact lines of a log and the damaged ones."""
    good: list[bytes] = []
    bad: list[bytes] = []
    for line in io.BytesIO(data):
        (good if intact(line) else bad).append(line)
    return good, bad


def numbered_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a log with their positions."""
    for found in _NUMBERED.finditer(data):
        end = data.find(b"\n", found.end())
        yield int(found[1]), data[found.start() : end + 1 if end >= 0 else None]


def parsed_line(line: bytes) -> dict[str, Any] | None:
    """Return the fields of a line as they are stored, None if it is not JSON: damaged, or torn."""
    try:
        return dict(orjson.loads(line))
    except ValueError:
        return None


def slices(lines: Iterable[bytes], limit_bytes: int) -> Iterator[list[bytes]]:
    """Yield the lines in groups of at most `limit_bytes`; a longer line is one group."""
    group: list[bytes] = []
    size = 0
    for line in lines:
        if group and size + len(line) > limit_bytes:
            yield group
            group, size = [], 0
        group.append(line)
        size += len(line)
    if group:
        yield group


def keep_lines(log: Path, lines: list[bytes]) -> Path:
    """Append damaged lines of a log to a `.bad` file beside it, and return its path. Idempotent."""
    kept, lost = log.with_suffix(".bad"), b"".join(lines)
    before = kept.read_bytes() if kept.exists() else b""
    if lost not in before:
        write_durably(kept, before + lost)
    return kept
