"""The parts of msgpack that the sender and the handshake need, in plain Python.

A worker has ormsgpack, which cannot read a HELO (raw bytes with the type of text) or an incomplete message. The messages
read here are acknowledgements and the three steps of a handshake. They are small, so plain Python is fast enough."""

import struct

from logship.errors import WireError

# A HELO has two levels, other messages have one.
DEPTH = 8


def text(value: str) -> bytes:
    """Return `value` as a msgpack str; lone surrogates of `surrogateescape` become the bytes they came from."""
    data = value.encode("utf-8", "surrogateescape")
    return text_head(len(data)) + data


def text_head(size: int) -> bytes:
    """Return the header of a str of `size` bytes."""
    if size < 32:
        return bytes((0xA0 | size,))
    return _head(size, 0xD9, 0xDA, 0xDB)


def bin_head(size: int) -> bytes:
    """Return the header of a bin of `size` bytes. ValueError from 4 GiB on."""
    return _head(size, 0xC4, 0xC5, 0xC6)


def array_head(items: int) -> bytes:
    """Return the header of an array of `items` items."""
    return bytes((0x90 | items,)) if items < 16 else _head(items, None, 0xDC, 0xDD)


def number(value: int) -> bytes:
    """Return an unsigned integer up to 2**32 - 1."""
    return bytes((value,)) if value < 128 else _head(value, 0xCC, 0xCD, 0xCE)


def _head(size: int, one: int | None, two: int, four: int) -> bytes:
    if one is not None and size < 0x100:
        return bytes((one, size))
    if size < 0x10000:
        return struct.pack(">BH", two, size)
    if size < 0x100000000:
        return struct.pack(">BI", four, size)
    raise ValueError(f"{size} does not fit 32 bits")


def take(data: bytes | bytearray, at: int = 0, depth: int = DEPTH) -> tuple[object, int] | None:
    """Return the value that begins at `at` and the index after it, or None if the value is incomplete.

    Both str and bin are returned as bytes. WireError for floats, extension types, and more than `depth` levels."""
    if at >= len(data):
        return None
    first = data[at]
    if first < 0x80:
        return first, at + 1
    if first >= 0xE0:
        return first - 0x100, at + 1
    if first in CONSTANTS:
        return CONSTANTS[first], at + 1
    if first in INTEGERS:
        form = INTEGERS[first]
        end = at + 1 + form.size
        return None if end > len(data) else (form.unpack_from(data, at + 1)[0], end)
    head = _size(data, at)
    if head is None:
        return None
    kind, size, at = head
    if kind == "bytes":
        return None if at + size > len(data) else (bytes(data[at : at + size]), at + size)
    if not depth:
        raise WireError(f"a message nests deeper than {DEPTH} levels; is this the Forward protocol?")
    return _take_map(data, at, size, depth - 1) if kind == "map" else _take_array(data, at, size, depth - 1)


CONSTANTS: dict[int, bool | None] = {0xC0: None, 0xC2: False, 0xC3: True}
INTEGERS = {
    code: struct.Struct(form)
    for code, form in zip(range(0xCC, 0xD4), (">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q"), strict=True)
}
# By first byte: the kind, and the format of the size. Short forms have the size in the first byte itself.
SIZED = {
    **dict.fromkeys((0xC4, 0xD9), ("bytes", struct.Struct(">B"))),
    **dict.fromkeys((0xC5, 0xDA), ("bytes", struct.Struct(">H"))),
    **dict.fromkeys((0xC6, 0xDB), ("bytes", struct.Struct(">I"))),
    0xDC: ("array", struct.Struct(">H")),
    0xDD: ("array", struct.Struct(">I")),
    0xDE: ("map", struct.Struct(">H")),
    0xDF: ("map", struct.Struct(">I")),
}


def _size(data: bytes | bytearray, at: int) -> tuple[str, int, int] | None:
    first = data[at]
    if first < 0x90:
        return "map", first & 0x0F, at + 1
    if first < 0xA0:
        return "array", first & 0x0F, at + 1
    if first < 0xC0:
        return "bytes", first & 0x1F, at + 1
    if first not in SIZED:
        raise WireError(f"unexpected byte 0x{first:02x} from the agent; is this the Forward protocol?")
    kind, form = SIZED[first]
    end = at + 1 + form.size
    return None if end > len(data) else (kind, form.unpack_from(data, at + 1)[0], end)


def _take_array(data: bytes | bytearray, at: int, size: int, depth: int) -> tuple[list[object], int] | None:
    items: list[object] = []
    for _ in range(size):
        item = take(data, at, depth)
        if item is None:
            return None
        items.append(item[0])
        at = item[1]
    return items, at


def _take_map(data: bytes | bytearray, at: int, size: int, depth: int) -> tuple[dict[object, object], int] | None:
    items: dict[object, object] = {}
    for _ in range(size):
        key = take(data, at, depth)
        value = take(data, key[1], depth) if key is not None else None
        if key is None or value is None:
            return None
        if isinstance(key[0], list | dict):
            raise WireError("a map's key is a list or a map; is this the Forward protocol?")
        items[key[0]] = value[0]
        at = value[1]
    return items, at
