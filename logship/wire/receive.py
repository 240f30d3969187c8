"""The receiver's half of the Forward protocol v1: bytes in, batches out. No sockets.

    Message                  [tag, time, record, option?]
    Forward                  [tag, [[time, record], ...], option?]
    PackedForward            [tag, bin or str: entries end to end, option?]
    CompressedPackedForward  the same, option {"compressed": "gzip" or "zstd"}

option is nil or a map; its "chunk" is what the sender wants to see again once the records are safe. A lone nil is a
heartbeat. A frame is found by walking over it without making objects, and that walk goes on where it stopped: a frame
in many small pieces costs as much as in one. Nothing is ever handed out of a frame that is not all well."""

from dataclasses import dataclass, field

import msgpack

from logship.errors import WireError
from logship.wire import atoms
from logship.wire.entries import Entries, Limits, decode_counted, decode_map, inflate
from logship.wire.strangers import strange

PIECE_BYTES = 256 * 1024
# An option is a chunk, a size and a word; Fluent Bit may put a record's metadata into it.
OPTION_LIMIT_BYTES = 64 * 1024
# Above it a frame's buffers are given back rather than kept for the next.
KEPT_BYTES = 2**20
NIL = 0xC0
DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Batch:
    """One frame. `entries`: nanoseconds since 1970 and record, as sent; `chunk`: to be acknowledged, None if nobody
    asked; `wire_bytes`: what the frame took on the wire; `inflated_bytes`: what compressed entries became, else 0;
    `values`: how many values the entries hold, nested ones included."""

    tag: str
    entries: Entries
    chunk: str | bytes | None
    wire_bytes: int
    inflated_bytes: int = 0
    values: int = field(default=0, compare=False)


def acknowledge(chunk: str | bytes) -> bytes:
    """Return the message that says: the records of `chunk` are safe. It holds the same bytes that were sent."""
    if isinstance(chunk, bytes):
        return b"\x81\xa3ack" + atoms.bin_head(len(chunk)) + chunk
    return b"\x81\xa3ack" + atoms.text(chunk)


class Decoder:
    """Turns the bytes of one connection into batches, however they are cut.

    Memory: at worst some four times `limits.frame_bytes` and what the values of one frame take; next to nothing between
    frames. One thread at a time."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self.broken: WireError | None = None
        """Why nothing more will come of this connection: acknowledge what you have, then close it."""
        self._limits = limits
        self._held = bytearray()  # from the first byte of the frame that is not whole yet
        self._ends: list[int] = []  # in _held, of that frame's elements
        self._elements = 0  # of that frame; 0 while not even its head is here
        self._walk_again()

    @property
    def pending_bytes(self) -> int:
        """Bytes held of a frame that is not all here yet."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Batch]:
        """Return the batches that `data` completes, in order.

        WireError, now and at every further call, for what is not the protocol or beyond a limit. Good frames before a
        bad one are not lost: they are returned, and the error is in `broken` and raised by the next call."""
        batches: list[Batch] = []
        try:
            for start in range(0, len(data), PIECE_BYTES):
                self.hold(data[start : start + PIECE_BYTES])
                while self.ready():
                    batches.append(self.next())
        except WireError:
            if not batches:
                raise
        return batches

    def hold(self, data: bytes) -> None:
        """Keep up to PIECE_BYTES for `ready` and `next`, which decode one frame at a time: a receiver that is short of
        memory holds what it received and waits. Take all that is ready before the next call. WireError as `feed`."""
        self._refuse_if_broken()
        self._held += data
        self._walker.feed(data)

    def ready(self) -> bool:
        """Return whether a whole frame is here. WireError, now and at every further call, if it cannot become one."""
        self._refuse_if_broken()
        try:
            return self._is_whole()
        except WireError as problem:
            raise self._break(problem) from None

    def next(self) -> Batch:
        """Return the frame that is `ready`, decoded. WireError, now and at every further call, if it holds anything bad."""
        try:
            frame = memoryview(bytes(memoryview(self._held)[: self._ends[-1]]))
            begin = 1 if frame[0] < 0xA0 else 3 if frame[0] == 0xDC else 5
            parts = [frame[start:end] for start, end in zip([begin, *self._ends], self._ends, strict=False)]
            self._drop(len(frame))
            return _batch(parts, len(frame), self._limits)
        except WireError as problem:
            raise self._break(problem) from None

    def _refuse_if_broken(self) -> None:
        if self.broken is not None:
            raise WireError(str(self.broken))

    def _break(self, problem: WireError) -> WireError:
        self.broken = WireError(str(problem))
        self._held = bytearray()
        self._elements = 0
        self._ends.clear()
        self._walk_again()
        return self.broken

    def _is_whole(self) -> bool:
        while self._held and self._held[0] == NIL and not self._elements:
            self._walker.skip()
            self._drop(1)
        try:
            if not self._walk():
                self._refuse_more_than_a_frame(len(self._held))
                return False
        except ValueError as problem:
            raise WireError(f"{strange(bytes(self._held[:20]))} is not a frame of the Forward protocol") from problem
        self._refuse_more_than_a_frame(self._ends[-1])
        return True

    def _walk(self) -> bool:
        """Go on where the last walk stopped; return whether the frame is all here."""
        try:
            if not self._elements:
                elements = self._walker.read_array_header()
                if not 2 <= elements <= 4:
                    raise WireError(f"a frame has {elements} elements; the Forward protocol knows 2 to 4")
                self._elements = elements
            while len(self._ends) < self._elements:
                self._walker.skip()
                self._ends.append(self._walker.tell() - self._begin)
        except msgpack.OutOfData:
            return False
        return True

    def _refuse_more_than_a_frame(self, size: int) -> None:
        if size > self._limits.frame_bytes:
            raise WireError(f"a frame has {size} bytes or more, the limit is {self._limits.frame_bytes}")

    def _drop(self, size: int) -> None:
        del self._held[:size]
        self._begin += size
        self._ends.clear()
        self._elements = 0
        if size > KEPT_BYTES:
            self._held = bytearray(self._held)
            self._walk_again()

    def _walk_again(self) -> None:
        self._begin = 0
        self._walker = msgpack.Unpacker(read_size=16384, max_buffer_size=self._limits.frame_bytes + 2 * PIECE_BYTES)
        self._walker.feed(self._held)


def _batch(parts: list[memoryview], wire_bytes: int, limits: Limits) -> Batch:
    tag, body, *option = parts
    if tag[0] not in TEXT_HEADS:
        raise WireError("a frame's tag is no text")
    entries: bytes | memoryview
    if body[0] in BYTES_HEADS:
        entries = body[BYTES_HEADS[body[0]] :]
    elif body[0] in ARRAY_HEADS:
        entries = body[ARRAY_HEADS[body[0]] :]
    elif option:
        entries, option = b"".join((b"\x92", body, option[0])), option[1:]
    else:
        raise WireError("a frame has a tag and a time, but no record")
    if len(option) > 1:
        raise WireError(f"a frame has {len(parts)} elements; only Message mode has four")
    chunk, compressed = _options(option[0], limits) if option else (None, "")
    inflated_bytes = 0
    if compressed and body[0] in BYTES_HEADS:
        entries = inflate(entries, compressed, limits.frame_bytes)
        inflated_bytes = len(entries)
    name = bytes(tag[TEXT_HEADS[tag[0]] :]).decode("utf-8", "replace")
    decoded, values = decode_counted(entries, limits)
    return Batch(name, decoded, chunk, wire_bytes, inflated_bytes, values)


def _options(packed: memoryview, limits: Limits) -> tuple[str | bytes | None, str]:
    """Return chunk and compression, from an option that is nil or a map."""
    if packed[0] == NIL:
        return None, ""
    if len(packed) > OPTION_LIMIT_BYTES:
        raise WireError(f"a frame's option has {len(packed)} bytes, the limit is {OPTION_LIMIT_BYTES}")
    options = decode_map(packed, limits)
    chunk, compressed = _chunk(packed), options.get("compressed")
    if not isinstance(chunk, str | bytes | None) or not isinstance(compressed, str | None):
        raise WireError(f"chunk {chunk!r:.50} and compressed {compressed!r:.50} must be text")
    if options.get("fluent_signal"):
        raise WireError("metrics and traces cannot be stored; send logs only")
    return chunk, "" if compressed == "text" or not compressed else compressed


def _chunk(packed: memoryview) -> object:
    """The chunk with the bytes it came with: text, whatever bytes it has, or bytes that are not text."""
    options = msgpack.unpackb(packed, raw=False, unicode_errors="surrogateescape", strict_map_key=False)
    chunk = options.get("chunk")
    if isinstance(chunk, bytes):
        try:
            return chunk.decode()
        except UnicodeDecodeError:
            pass
    return chunk


# Bytes before what a str, a bin or an array holds, by its first byte.
TEXT_HEADS = {**dict.fromkeys(range(0xA0, 0xC0), 1), 0xD9: 2, 0xDA: 3, 0xDB: 5}
BYTES_HEADS = {**TEXT_HEADS, 0xC4: 2, 0xC5: 3, 0xC6: 5}
ARRAY_HEADS = {**dict.fromkeys(range(0x90, 0xA0), 1), 0xDC: 3, 0xDD: 5}
