"""Decoding entries: msgpack [time, record] pairs end to end, which every mode of the Forward protocol contains.

A frame is decoded and checked completely before it is acknowledged, because a record that failed later would be lost. A
peer cannot cause unbounded memory or time: one byte of msgpack can become a map of 64 bytes, so entries are first counted
and measured without making objects, then decoded in slices, and their values are counted."""

import reprlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import msgpack
import ormsgpack
import zstandard

from logship.errors import WireError
from logship.event.entry import EVENT_TIME
from logship.wire import atoms

Entries = list[tuple[int, dict[str, object]]]

SLICE_BYTES = 256 * 1024
# So much compressed data is inflated before the size is checked: it becomes at most 1 MiB with gzip, 32 MiB with zstd.
PIECE_BYTES = 1024
# fluentd makes one gzip member of each append to a buffer. An empty member has 20 bytes and costs one decompressor.
MEMBERS = 10_000
# Fluent Bit begins and ends a group of records (from OpenTelemetry) with entries at the seconds -1 and -2.
GROUP_MARK = 0xFFFFFFFE
NS = 10**9
# For messages: a peer can nest values deeper than repr() can follow.
SHORT = reprlib.Repr()
# The types of decoded values other than text, numbers, booleans and None.
NOT_PLAIN = frozenset((dict, list, tuple, bytes, msgpack.Timestamp))


@dataclass(frozen=True, slots=True)
class EntryLimits:
    """The limits of a frame. Beyond one of them decoding raises WireError.

    A full frame of ordinary records has 14,000 entries of 40 values; a record of logship has at most 64 KB."""

    frame_bytes: int = 16 * 2**20
    """As received, and again after decompression."""
    record_bytes: int = 2**20
    entries: int = 200_000
    """In one frame."""
    values: int = 1_000_000
    """In one frame, without keys."""
    keys: int = 4096
    """In one map."""
    depth: int = 64
    """Levels of maps and lists, including the record."""


def decode_entries(packed: bytes | memoryview, limits: EntryLimits) -> Entries:
    """Return (nanoseconds since 1970, record) per entry, in order.

    `packed`: [time, record] or [[time, metadata], record] end to end; a time is an EventTime, or seconds as an int or a
    float. Keys of other types, bytes and extension types become text; invalid UTF-8 becomes U+FFFD; metadata is left out.
    WireError if an entry is truncated or invalid, if there is no entry, and beyond a limit."""
    return decode_counted(packed, limits)[0]


def decode_counted(packed: bytes | memoryview, limits: EntryLimits) -> tuple[Entries, int]:
    """Return the entries, as `decode_entries` does, and the number of their values without keys."""
    entries: Entries = []
    normalizer = _Normalizer(limits)
    for count, part in _slices(packed, limits):
        for entry in _decode(count, part):
            if type(entry) is not list or len(entry) != 2 or type(entry[1]) is not dict:
                raise WireError(f"{SHORT.repr(entry)} is not an entry: expected a time and a map")
            stamp, record = entry
            if type(stamp) is list and len(stamp) == 2 and type(stamp[1]) is dict:
                stamp = stamp[0]
            if type(stamp) is tuple:
                if stamp[0] >= GROUP_MARK:
                    continue
                time_ns = stamp[0] * NS + stamp[1]
            else:
                time_ns = _time_ns(stamp)
            normalizer.record(record, 1)
            entries.append((time_ns, record))
    return entries, normalizer.values


def _slices(packed: bytes | memoryview, limits: EntryLimits) -> Iterator[tuple[int, bytes | memoryview]]:
    """Yield (number of entries, their bytes), cut between entries into slices of about SLICE_BYTES."""
    size = len(packed)
    if not size:
        raise WireError("the frame has no entries")
    walker = msgpack.Unpacker(read_size=size, max_buffer_size=size)
    walker.feed(packed)
    begun = end = count = total = 0
    while end < size:
        start = end
        try:
            walker.skip()
        except (ValueError, msgpack.OutOfData) as problem:
            raise WireError(f"the entries are damaged or truncated after byte {end} of {size}") from problem
        end = walker.tell()
        count += 1
        if end - start > limits.record_bytes:
            raise WireError(f"a record has {end - start} bytes, more than the limit of {limits.record_bytes}")
        if end - begun >= SLICE_BYTES or end == size:
            total += count
            if total > limits.entries:
                raise WireError(f"a frame has {total} entries or more, the limit is {limits.entries}")
            yield count, packed[begun:end]
            begun, count = end, 0


def _decode(count: int, part: bytes | memoryview) -> list[object]:
    data = b"".join((atoms.array_head(count), part))
    try:
        decoded = ormsgpack.unpackb(data, ext_hook=_extension)
    except ValueError:
        # Invalid UTF-8, or keys that are not text. This decoder takes twice the time.
        decoded = _decode_anything(data)
    if type(decoded) is not list:
        raise WireError("the entries are not a list")
    return decoded


def _decode_anything(data: bytes) -> object:
    try:
        return msgpack.unpackb(
            data,
            raw=False,
            unicode_errors="replace",
            strict_map_key=False,
            object_pairs_hook=_map_of_pairs,
            ext_hook=_extension,
        )
    except (ValueError, TypeError, msgpack.UnpackException) as problem:
        raise WireError(f"the entries are not valid msgpack: {problem}") from problem


def decode_map(data: bytes | memoryview, limits: EntryLimits) -> dict[str, object]:
    """Return the map in `data`, with values as in a record."""
    decoded = _decode_anything(bytes(data))
    if not isinstance(decoded, dict):
        raise WireError(f"{SHORT.repr(decoded)} is not a map")
    _Normalizer(limits).record(decoded, 1)
    return decoded


def _extension(code: int, data: bytes) -> object:
    # An EventTime becomes a tuple of seconds and nanoseconds; no other value becomes a tuple.
    if code == 0 and len(data) == 8:
        return EVENT_TIME.unpack(data)
    return f"ext {code}: {bytes(data).hex()}"


def _map_of_pairs(pairs: list[tuple[object, object]]) -> dict[str, object]:
    return {key if type(key) is str else _key(key): value for key, value in pairs}


def _key(key: object) -> str:
    if isinstance(key, list | dict):
        raise WireError("a key of a map is a list or a map")
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)


def _time_ns(stamp: object) -> int:
    if type(stamp) is int:
        time_ns = stamp * NS
    elif type(stamp) is float and abs(stamp) < 2**34:
        # The shortest decimal of this float: .123 was sent, not .122999907.
        time_ns = int(Decimal(repr(stamp)).scaleb(9))
    else:
        raise WireError(f"{SHORT.repr(stamp)} is not a time: expected an EventTime, or seconds since 1970")
    if not 0 <= time_ns < 2**63:
        raise WireError(f"the time {SHORT.repr(stamp)} is not between 1970 and 2262")
    return time_ns


class _Normalizer:
    """Replaces values that are not plain in the records of one frame, in place, and counts all values."""

    def __init__(self, limits: EntryLimits) -> None:
        self._limits = limits
        self._values_left = limits.values

    @property
    def values(self) -> int:
        """The number of values so far."""
        return self._limits.values - self._values_left

    def record(self, values: dict[str, object], depth: int) -> None:
        self._spend_keys(values, depth)
        # A comprehension, because most values are plain: this line takes a quarter of the time of decoding.
        for key in [key for key, value in values.items() if type(value) in NOT_PLAIN]:
            value = values[key]
            if type(value) is dict and NOT_PLAIN.isdisjoint(map(type, value.values())):
                self._spend_keys(value, depth + 1)
            else:
                values[key] = self._value(value, depth)

    def _value(self, value: object, depth: int) -> object:
        if type(value) is dict:
            self.record(value, depth + 1)
            return value
        if type(value) is list:
            self._spend(len(value), depth + 1)
            for index, item in enumerate(value):
                if type(item) in NOT_PLAIN:
                    value[index] = self._value(item, depth + 1)
            return value
        if type(value) is bytes:
            return value.decode("utf-8", "replace")
        if type(value) is tuple:
            return f"{value[0]}.{value[1]:09d}"
        # What is left is a Timestamp of the slower decoder; the faster one passes it to _extension.
        return _extension(-1, value.to_bytes()) if isinstance(value, msgpack.Timestamp) else value

    def _spend_keys(self, values: dict[str, object], depth: int) -> None:
        if len(values) > self._limits.keys:
            raise WireError(f"a map has {len(values)} keys, more than the limit of {self._limits.keys}")
        self._spend(len(values), depth)

    def _spend(self, size: int, depth: int) -> None:
        if depth > self._limits.depth:
            raise WireError(f"a record nests deeper than the limit of {self._limits.depth} levels")
        self._values_left -= size
        if self._values_left < 0:
            raise WireError(f"a frame has more than {self._limits.values} values, the limit")


class Inflater(Protocol):
    """One gzip member or zstd frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _gzip_inflater() -> Callable[[], Inflater]:
    return lambda: zlib.decompressobj(wbits=31)


def _zstd_inflater() -> Callable[[], Inflater]:
    # With the default limit a header of some bytes could request a window of 128 MiB.
    return zstandard.ZstdDecompressor(max_window_size=16 * 2**20).decompressobj


INFLATERS = {"gzip": _gzip_inflater, "zstd": _zstd_inflater}


def inflate(packed: bytes | memoryview, compressed: str, limit_bytes: int) -> bytes:
    """Return the content of `packed`: one or more gzip members or zstd frames end to end.

    WireError if it is damaged or truncated, has another compression, or more than `limit_bytes`."""
    if compressed not in INFLATERS:
        raise WireError(f"unknown compression {compressed!r:.50}: use gzip or zstd")
    begin = INFLATERS[compressed]()
    inflated, member, members = bytearray(), begin(), 1
    try:
        for start in range(0, len(packed), PIECE_BYTES):
            piece = bytes(packed[start : start + PIECE_BYTES])
            while piece:
                if member.eof:
                    member, members = begin(), members + 1
                inflated += member.decompress(piece)
                if len(inflated) > limit_bytes or members > MEMBERS:
                    raise WireError(f"a frame inflates to more than {limit_bytes} bytes or {MEMBERS} parts, the limits")
                piece = member.unused_data if member.eof else b""
    except (zlib.error, zstandard.ZstdError) as problem:
        raise WireError(f"the entries are damaged: {problem}") from problem
    if not member.eof:
        raise WireError(f"the entries are truncated: the {compressed} data ends too early")
    return bytes(inflated)
