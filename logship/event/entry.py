"""Entries: the bytes of one event, ready to stand in a PackedForward frame.

    entry   = 0x92 | EventTime | map16 | pairs                      (one [time, record] of the Forward protocol)
    EventTime = 0xd7 0x00 | seconds u32 | nanoseconds u32           (big-endian, ext type 0)
    pairs   = the event's | stamp                                   (flat dotted ECS keys)
    stamp   = "event.sequence" u64 | "event.id" str of 37 bytes     (both of fixed width: written under the journal's lock)

Source: Forward Protocol v1, msgpack specification. A number in eight bytes where fewer would do is valid msgpack.
"""

import re
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import ormsgpack

from logship.event.cut import fit

# Of one entry, the pairs that every event of a worker shares (about 1 KB) not counted.
ENTRY_LIMIT_BYTES = 64 * 1024
ID_BYTES = 37
STAMP_FIELDS = 2
# An EventTime has 32 bits of seconds; Fluent Bit marks groups of records with the last two, 0xFFFFFFFE and 0xFFFFFFFF.
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

# One text for each sequence: more zeros would be another id of the same event.
_ID = re.compile(r"([0-9a-f]{24})-([0-9]{12}|[1-9][0-9]{12,})")


def pairs(fields: Mapping[str, object]) -> bytes:
    """Return `fields` packed key by key, without the map's own header, to be spliced between others."""
    packed = _PACK(fields, option=_OPTIONS)
    first = packed[0]
    if first == 0xDE:
        return packed[3:]
    return packed[5:] if first == 0xDF else packed[1:]


def limited_pairs(fields: Mapping[str, object]) -> tuple[bytes, int]:
    """Return (`pairs` of `fields`, how many they are); fields beyond `ENTRY_LIMIT_BYTES` are cut, the longest texts first."""
    packed = pairs(fields)
    if len(packed) > ENTRY_LIMIT_BYTES:
        fields = fit(fields, len(packed), ENTRY_LIMIT_BYTES)
        packed = pairs(fields)
    return packed, len(fields)


def begin(time_ns: int, count: int) -> bytes:
    """Return the first bytes of an entry with `count` fields (the stamp's two not counted), up to its pairs.

    A time that an EventTime cannot hold becomes the nearest that it can, and is kept as text in `event.created`."""
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
    """Return the `event.id` of one event: the same whoever computes it, at most 64 characters."""
    return f"{incarnation}-{sequence:012d}"


def parse_event_id(text: object) -> tuple[str, int] | None:
    """Return (incarnation, sequence) of an `event.id` of ours; None for anybody else's."""
    if type(text) is not str:
        return None
    match = _ID.fullmatch(text)
    return (match[1], int(match[2])) if match else None


def whole(time_ns: int, fields: Mapping[str, object], incarnation: str, sequence: int) -> bytes:
    """Return a complete entry, for events that no journal stamps (a dead worker's report)."""
    mark = stamp(SEQUENCE_KEY, sequence, ID_KEY, event_id(incarnation, sequence).encode())
    return begin(time_ns, len(fields)) + pairs(fields) + mark
