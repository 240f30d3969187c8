"""What the tests of this room send: entries and frames as foreign peers would pack them, and ways to cut bytes."""

import gzip
import struct
from typing import Any

import msgpack
import zstandard
from hypothesis import strategies as st

NOW_NS = 1_763_650_000_123_456_789

# Numbers that msgpack, JSON and Python all know; text without lone surrogates, which is what UTF-8 can hold.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
RECORDS = st.dictionaries(TEXT, VALUES, max_size=5)
# EventTime counts seconds in 32 bits; its last two values mark groups in Fluent Bit.
TIMES_NS = st.integers(0, 0xFFFFFFFE * 10**9 - 1)
ENTRIES = st.lists(st.tuples(TIMES_NS, RECORDS), min_size=1, max_size=5)


def event_time(time_ns: int) -> msgpack.ExtType:
    return msgpack.ExtType(0, struct.pack(">II", *divmod(time_ns, 10**9)))


def pack_entry(time_ns: int, record: dict[str, Any]) -> bytes:
    return pack([event_time(time_ns), record])


def pack_entries(entries: list[tuple[int, dict[str, Any]]]) -> bytes:
    return b"".join(pack_entry(*entry) for entry in entries)


def pack(value: object) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed


def message(entries: list[tuple[int, dict[str, Any]]], tag: str, option: dict[str, Any]) -> bytes:
    """One frame for each entry: all that Message mode can do."""
    return b"".join(pack([tag, event_time(time_ns), record, option]) for time_ns, record in entries)


def forward(entries: list[tuple[int, dict[str, Any]]], tag: str, option: dict[str, Any]) -> bytes:
    return pack([tag, [[event_time(time_ns), record] for time_ns, record in entries], option])


def forward_with_metadata(entries: list[tuple[int, dict[str, Any]]], tag: str, option: dict[str, Any]) -> bytes:
    return pack([tag, [[[event_time(time_ns), {"m": 1}], record] for time_ns, record in entries], option])


def packed_bin(entries: list[tuple[int, dict[str, Any]]], tag: str, option: dict[str, Any]) -> bytes:
    return pack([tag, pack_entries(entries), option])


def packed_str(entries: list[tuple[int, dict[str, Any]]], tag: str, option: dict[str, Any]) -> bytes:
    blob = pack_entries(entries)
    return b"\x93" + pack(tag) + b"\xdb" + len(blob).to_bytes(4, "big") + blob + pack(option)


def packed_gzip(entries: list[tuple[int, dict[str, Any]]], tag: str, option: dict[str, Any]) -> bytes:
    members = b"".join(gzip.compress(pack_entry(*entry), 1) for entry in entries)
    return pack([tag, members, option | {"compressed": "gzip"}])


def packed_zstd(entries: list[tuple[int, dict[str, Any]]], tag: str, option: dict[str, Any]) -> bytes:
    compressor = zstandard.ZstdCompressor(level=1)
    frames = compressor.compress(pack_entries(entries[:1])) + compressor.compress(pack_entries(entries[1:]))
    return pack([tag, frames, option | {"compressed": "zstd"}])


MODES = [message, forward, forward_with_metadata, packed_bin, packed_str, packed_gzip, packed_zstd]


def cut(data: bytes, draw: st.DataObject) -> list[bytes]:
    """`data` in pieces, some of them empty."""
    places = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8), label="cut at"))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
