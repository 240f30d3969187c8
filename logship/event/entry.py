"""Entries: the bytes of one event, as they are sent in a PackedForward frame.

    entry   = 0x92 | EventTime | map16 | pairs                      (one [time, record] of the Forward protocol)
    EventTime = 0xd7 0x00 | seconds u32 | nanoseconds u32           (big-endian, ext type 0)
    pairs   = those of the event | stamp                            (flat dotted ECS keys)
    stamp   = "event.sequence" u64 | "event.id" str of 37 bytes     (both of fixed width: written under the lock of the journal)

Source: Forward Protocol v1, msgpack specification. A number in more bytes than needed is valid msgpack.
"""

import re
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import ormsgpack

from logship.event.cut import fit

# The tag of every frame that logship sends.
TAG = "logship.events"
EVENT_TIME = struct.Struct(">II")

# The limit of one entry, without the pairs that all events of a worker share (about 1 KB).
ENTRY_LIMIT_BYTES = 64 * 1024
ID_BYTES = 37
STAMP_FIELDS = 2
# An EventTime has 32 bits of seconds. Fluent Bit uses 0xFFFFFFFE and 0xFFFFFFFF as marks of groups of records.
LATEST_NS = 0xFFFFFFFE * 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_PACK = ormsgpack.packb
_OPTIONS = ormsgpack.OPT_NON_STR_KEYS

head = struct.Struct(">3sIIcH").pack
HEAD_START = b"\x92\xd7\x00"
MAP16 = b"\xde"

SEQUENCE_KEY = _PACK("event.sequence") + b"\xcf"
ID_KEY = _PACK("event.id") + b"\xd9" + bytes([ID_BYTES])
stamp = struct.Struct(f">{len(SEQUENCE_KEY)}sQ{len(ID_KEY)}s{ID_BYTES}s").pack

# One text for each sequence: with more zeros an event would have two ids.
_ID = re.compile(r"([0-9a-f]{24})-([0-9]{12}|[1-9][0-9]{12,})")


def pairs(fields: Mapping[str, object]) -> bytes:
    """Return `fields` packed without the header of the map, to be joined with other pairs."""
    packed = _PACK(fields, option=_OPTIONS)
    first = packed[0]
    if first == 0xDE:
        return packed[3:]
    return packed[5:] if first == 0xDF else packed[1:]


def limited_pairs(fields: Mapping[str, object]) -> tuple[bytes, int]:
    """Return (`pairs` of `fields`, their number); fields beyond `ENTRY_LIMIT_BYTES` are cut, the longest texts first."""
    packed = pairs(fields)
    if len(packed) > ENTRY_LIMIT_BYTES:
        fields = fit(fields, len(packed), ENTRY_LIMIT_BYTES)
        packed = pairs(fields)
    return packed, len(fields)


def begin(time_ns: int, count: int) -> bytes:
    """Return the beginning of an entry up to its pairs. `count`: the number of its fields without the two of the stamp.

    A time that an EventTime cannot hold is replaced by the nearest one, and kept as text in `event.created`."""
    if 0 <= time_ns < LATEST_NS:
        seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
        return head(HEAD_START, seconds, nanoseconds, MAP16, count + STAMP_FIELDS)
    nearest = divmod(0 if time_ns < 0 else LATEST_NS - 1, 1_000_000_000)
    return head(HEAD_START, *nearest, MAP16, count + 1 + STAMP_FIELDS) + pairs({"event.created": _as_text(time_ns)})


def _as_text(time_ns: int) -> str:
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    try:
        return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
    except OverflowError:
        return str(time_ns)


def event_id(incarnation: str, sequence: int) -> str:
    """Return the `event.id` of one event, at most 64 characters."""
    return f"{incarnation}-{sequence:012d}"


def parse_event_id(text: object) -> tuple[str, int] | None:
    """Return (incarnation, sequence) of an `event.id` of logship; None for any other value."""
    if type(text) is not str:
        return None
    match = _ID.fullmatch(text)
    return (match[1], int(match[2])) if match else None


def whole(time_ns: int, fields: Mapping[str, object], incarnation: str, sequence: int) -> bytes:
    """Return a complete entry, for an event that no journal stamps (the report of a worker that has crashed)."""
    return pack(time_ns, {**fields, "event.sequence": sequence, "event.id": event_id(incarnation, sequence)})


def pack(time_ns: int, fields: Mapping[str, object]) -> bytes:
    """Return one entry that holds `fields` and nothing else. A value that msgpack has no type for becomes text.

    `time_ns`: nanoseconds since 1970; a time outside 1970 to 2106 is kept in `event.created`, as `begin` does."""
    if not 0 <= time_ns < LATEST_NS:
        fields = {"event.created": _as_text(time_ns), **fields}
        time_ns = 0 if time_ns < 0 else LATEST_NS - 1
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    packed = _PACK(dict(fields), option=_OPTIONS, default=str)
    return HEAD_START + EVENT_TIME.pack(seconds, nanoseconds) + packed


def unpack(entry: bytes) -> tuple[int, dict[str, Any]]:
    """Return (nanoseconds since 1970, fields) of one entry. ValueError if `entry` is not an EventTime and a map."""
    try:
        time_ns, fields = ormsgpack.unpackb(entry, ext_hook=_time, option=_OPTIONS)
    except (TypeError, ValueError) as problem:
        raise ValueError(f"not an entry: {problem}") from problem
    if isinstance(time_ns, int) and isinstance(fields, dict):
        return time_ns, fields
    raise ValueError("not an entry: expected an EventTime and a map")


def _time(code: int, data: bytes) -> int | None:
    if code or len(data) != EVENT_TIME.size:
        return None
    seconds, nanoseconds = EVENT_TIME.unpack(data)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
