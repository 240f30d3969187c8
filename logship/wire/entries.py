"""Entries, msgpack [time, record] end to end, as values: what every mode of the Forward protocol comes down to.

All of it is read and checked before anything is acknowledged, because a record that only fails later is lost. What a
peer sends decides neither how much memory we take nor how long: one byte of msgpack can become a map of 64 bytes, so
entries are counted and measured without making any objects, then made in slices, and what they hold is counted."""

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
# What one piece can inflate to before its size is looked at: 1 MiB with gzip, 32 MiB with zstd.
PIECE_BYTES = 1024
# fluentd makes one gzip member of each append to a buffer; an empty member costs 20 bytes there and an inflater here.
MEMBERS = 10_000
# Fluent Bit opens and closes a group of records (from OpenTelemetry) with entries at the seconds -1 and -2.
GROUP_MARK = 0xFFFFFFFE
NS = 10**9
# For our messages: a peer can nest values deeper than repr() can follow.
SHORT = reprlib.Repr()
# What msgpack can become, apart from text, numbers, booleans and None.
NOT_PLAIN = frozenset((dict, list, tuple, bytes, msgpack.Timestamp))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a frame may hold. More is a WireError.

    A full frame of ordinary records has 14,000 entries of 40 values; logship's own records have at most 64 KB."""

    frame_bytes: int = 16 * 2**20
    """On the wire, and again when decompressed."""
    record_bytes: int = 2**20
    entries: int = 200_000
    """In one frame."""
    values: int = 1_000_000
    """In one frame, keys not counted."""
    keys: int = 4096
    """In one map."""
    depth: int = 64
    """Maps and lists in each other, the record itself included."""


def decode_entries(packed: bytes | memoryview, limits: Limits) -> Entries:
    """Return (nanoseconds since 1970, record) per entry, in order.

    `packed`: [time, record] or [[time, metadata], record] end to end; a time is an EventTime, or seconds as an int or a
    float. Keys that are no text become text, so do bytes and extension types; text that is no UTF-8 gets U+FFFD;
    metadata is left out. WireError if anything is cut off or not an entry, if there is none, or beyond a limit."""
    return decode_counted(packed, limits)[0]


def decode_counted(packed: bytes | memoryview, limits: Limits) -> tuple[Entries, int]:
    """Return the entries, as `decode_entries`, and how many values they hold, keys not counted."""
    entries: Entries = []
    tidy = _Tidy(limits)
    for count, part in _slices(packed, limits):
        for entry in _decode(count, part):
            if type(entry) is not list or len(entry) != 2 or type(entry[1]) is not dict:
                raise WireError(f"{SHORT.repr(entry)} is no entry; it must be a time and a map")
            stamp, record = entry
            if type(stamp) is list and len(stamp) == 2 and type(stamp[1]) is dict:
                stamp = stamp[0]
            if type(stamp) is tuple:
                if stamp[0] >= GROUP_MARK:
                    continue
                time_ns = stamp[0] * NS + stamp[1]
            else:
                time_ns = _time_ns(stamp)
            tidy.record(record, 1)
            entries.append((time_ns, record))
    return entries, tidy.values


def _slices(packed: bytes | memoryview, limits: Limits) -> Iterator[tuple[int, bytes | memoryview]]:
    """Cut `packed` between entries: (number of entries, their bytes), each little more than SLICE_BYTES."""
    size = len(packed)
    if not size:
        raise WireError("the frame holds no entries")
    walker = msgpack.Unpacker(read_size=size, max_buffer_size=size)
    walker.feed(packed)
    begun = end = count = total = 0
    while end < size:
        start = end
        try:
            walker.skip()
        except (ValueError, msgpack.OutOfData) as problem:
            raise WireError(f"the entries are damaged or cut off behind byte {end} of {size}") from problem
        end = walker.tell()
        count += 1
        if end - start > limits.record_bytes:
            raise WireError(f"a record has {end - start} bytes, more than the limit of {limits.record_bytes}")
        if end - begun >= SLICE_BYTES or end == size:
            total += count
            if total > limits.entries:
                raise WireError(f"a frame holds {total} entries or more, the limit is {limits.entries}")
            yield count, packed[begun:end]
            begun, count = end, 0


def _decode(count: int, part: bytes | memoryview) -> list[object]:
    data = b"".join((atoms.array_head(count), part))
    try:
        decoded = ormsgpack.unpackb(data, ext_hook=_extension)
    except ValueError:
        # Text that is no UTF-8, keys that are no text: twice as slow, and as rare.
        decoded = _decode_anything(data)
    if type(decoded) is not list:
        raise WireError("the entries are no list")
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
        raise WireError(f"the entries are no msgpack that can be read: {problem}") from problem


def decode_map(data: bytes | memoryview, limits: Limits) -> dict[str, object]:
    """Return the map that `data` holds, as clean as a record."""
    decoded = _decode_anything(bytes(data))
    if not isinstance(decoded, dict):
        raise WireError(f"{SHORT.repr(decoded)} is where a map must be")
    _Tidy(limits).record(decoded, 1)
    return decoded


def _extension(code: int, data: bytes) -> object:
    # A tuple, which nothing else in msgpack becomes: seconds and nanoseconds.
    if code == 0 and len(data) == 8:
        return EVENT_TIME.unpack(data)
    return f"ext {code}: {bytes(data).hex()}"


def _map_of_pairs(pairs: list[tuple[object, object]]) -> dict[str, object]:
    return {key if type(key) is str else _key(key): value for key, value in pairs}


def _key(key: object) -> str:
    if isinstance(key, list | dict):
        raise WireError("a map's key is a list or a map")
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)


def _time_ns(stamp: object) -> int:
    if type(stamp) is int:
        time_ns = stamp * NS
    elif type(stamp) is float and abs(stamp) < 2**34:
        # The shortest decimal that means this float: .123 was sent, and not .122999907.
        time_ns = int(Decimal(repr(stamp)).scaleb(9))
    else:
        raise WireError(f"{SHORT.repr(stamp)} is no time; it must be an EventTime, or seconds since 1970")
    if not 0 <= time_ns < 2**63:
        raise WireError(f"the time {SHORT.repr(stamp)} is not between 1970 and 2262")
    return time_ns


class _Tidy:
    """Makes one frame's values plain, in place, and counts them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._values_left = limits.values

    @property
    def values(self) -> int:
        """How many there were."""
        return self._limits.values - self._values_left

    def record(self, values: dict[str, object], depth: int) -> None:
        self._spend_keys(values, depth)
        # A comprehension, because most values are plain: this line is a quarter of the cost of decoding.
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
        # Only msgpack's own time is left, from the slower decoder; the faster one hands it to _extension.
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
            raise WireError(f"a frame holds more than {self._limits.values} values, the limit")


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
    # The default would let a header of some bytes ask for a window of 128 MiB.
    return zstandard.ZstdDecompressor(max_window_size=16 * 2**20).decompressobj


INFLATERS = {"gzip": _gzip_inflater, "zstd": _zstd_inflater}


def inflate(packed: bytes | memoryview, compressed: str, limit_bytes: int) -> bytes:
    """Return what `packed`, one or more gzip members or zstd frames end to end, holds.

    WireError if it is damaged, cut off, of another kind, or holds more than `limit_bytes`."""
    if compressed not in INFLATERS:
        raise WireError(f"entries compressed as {compressed!r:.50} cannot be read; gzip and zstd can")
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
        raise WireError(f"the entries are cut off: {compressed} ends before its end mark")
    return bytes(inflated)
