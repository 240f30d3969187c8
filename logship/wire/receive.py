"""The receiver of the Forward protocol v1: bytes in, batches out. No sockets.

    Message                  [tag, time, record, option?]
    Forward                  [tag, [[time, record], ...], option?]
    PackedForward            [tag, bin or str: entries end to end, option?]
    CompressedPackedForward  the same, option {"compressed": "gzip" or "zstd"}

option is nil or a map; its "chunk" is returned to the sender when the records are stored. A nil alone is a heartbeat. The
end of a frame is found by skipping over its values without making objects, and the search continues where it stopped: a
frame in many small pieces costs as much as in one. Records of a frame with any error are not returned."""

from dataclasses import dataclass, field

import msgpack

from logship.errors import WireError
from logship.wire import atoms
from logship.wire.entries import Entries, EntryLimits, decode_counted, decode_map, inflate
from logship.wire.strangers import strange

PIECE_BYTES = 256 * 1024
# An option has a chunk, a size and a compression; Fluent Bit may add the metadata of a record.
OPTION_LIMIT_BYTES = 64 * 1024
# The buffers of a larger frame are freed and not reused.
KEPT_BYTES = 2**20
NIL = 0xC0
DEFAULT_LIMITS = EntryLimits()


@dataclass(frozen=True, slots=True)
class Batch:
    """One frame. `entries`: (nanoseconds since 1970, record), as sent; `chunk`: to acknowledge, None if not requested;
    `wire_bytes`: the size of the frame as received; `inflated_bytes`: that of compressed entries, else 0; `values`: the
    number of values in the entries, including nested ones."""

    tag: str
    entries: Entries
    chunk: str | bytes | None
    wire_bytes: int
    inflated_bytes: int = 0
    values: int = field(default=0, compare=False)


def acknowledge(chunk: str | bytes) -> bytes:
    """Return the acknowledgement of `chunk`, with the same bytes as in the frame."""
    if isinstance(chunk, bytes):
        return b"\x81\xa3ack" + atoms.bin_head(len(chunk)) + chunk
    return b"\x81\xa3ack" + atoms.text(chunk)


class Decoder:
    """Decodes the bytes of one connection into batches, however the bytes are split.

    Memory: at most about four times `limits.frame_bytes` and the values of one frame; almost none between frames. Not
    thread-safe."""

    def __init__(self, limits: EntryLimits = DEFAULT_LIMITS) -> None:
        self.broken: WireError | None = None
        """The error that ended decoding, or None. Acknowledge the batches so far and close the connection."""
        self._limits = limits
        self._held = bytearray()  # the incomplete frame
        self._ends: list[int] = []  # in _held, of the elements of that frame
        self._elements = 0  # of that frame; 0 while its header is incomplete
        self._walk_again()

    @property
    def pending_bytes(self) -> int:
        """The number of bytes of the incomplete frame."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Batch]:
        """Return the batches that `data` completes, in order.

        WireError, now and in every further call, if the protocol or a limit is violated. Valid frames before an invalid
        one are returned; the error is then in `broken` and raised by the next call."""
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
        """Add at most PIECE_BYTES for `ready` and `next`, which decode one frame at a time, so that a receiver can wait for
        memory in between. Call `next` while `ready` before the next call. WireError as in `feed`."""
        self._refuse_if_broken()
        self._held += data
        self._walker.feed(data)

    def ready(self) -> bool:
        """Return whether a frame is complete. WireError, now and in every further call, if it is invalid."""
        self._refuse_if_broken()
        try:
            return self._is_whole()
        except WireError as problem:
            raise self._break(problem) from None

    def next(self) -> Batch:
        """Decode and return the complete frame. WireError, now and in every further call, if it is invalid."""
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
        """Continue where the last call stopped; return whether the frame is complete."""
        try:
            if not self._elements:
                elements = self._walker.read_array_header()
                if not 2 <= elements <= 4:
                    raise WireError(f"a frame has {elements} elements; the Forward protocol has 2 to 4")
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


def _batch(parts: list[memoryview], wire_bytes: int, limits: EntryLimits) -> Batch:
    tag, body, *option = parts
    if tag[0] not in TEXT_HEADS:
        raise WireError("the tag of a frame is not text")
    entries: bytes | memoryview
    if body[0] in BYTES_HEADS:
        entries = body[BYTES_HEADS[body[0]] :]
    elif body[0] in ARRAY_HEADS:
        entries = body[ARRAY_HEADS[body[0]] :]
    elif option:
        entries, option = b"".join((b"\x92", body, option[0])), option[1:]
    else:
        raise WireError("a frame has a tag and a time and no record")
    if len(option) > 1:
        raise WireError(f"a frame has {len(parts)} elements; only the Message mode has four")
    chunk, compressed = _options(option[0], limits) if option else (None, "")
    inflated_bytes = 0
    if compressed and body[0] in BYTES_HEADS:
        entries = inflate(entries, compressed, limits.frame_bytes)
        inflated_bytes = len(entries)
    name = bytes(tag[TEXT_HEADS[tag[0]] :]).decode("utf-8", "replace")
    decoded, values = decode_counted(entries, limits)
    return Batch(name, decoded, chunk, wire_bytes, inflated_bytes, values)


def _options(packed: memoryview, limits: EntryLimits) -> tuple[str | bytes | None, str]:
    """Return the chunk and the compression in an option, which is nil or a map."""
    if packed[0] == NIL:
        return None, ""
    if len(packed) > OPTION_LIMIT_BYTES:
        raise WireError(f"the option of a frame has {len(packed)} bytes, the limit is {OPTION_LIMIT_BYTES}")
    options = decode_map(packed, limits)
    chunk, compressed = _chunk(packed), options.get("compressed")
    if not isinstance(chunk, str | bytes | None) or not isinstance(compressed, str | None):
        raise WireError(f"chunk {chunk!r:.50} and compressed {compressed!r:.50} must be text")
    if options.get("fluent_signal"):
        raise WireError("metrics and traces cannot be stored: send logs only")
    return chunk, "" if compressed == "text" or not compressed else compressed


def _chunk(packed: memoryview) -> object:
    """Return the chunk with the bytes as received: as text, or as bytes if it was a bin that is not UTF-8."""
    # Extension types have codes from -128 to 127; msgpack's own class refuses the negative ones.
    options = msgpack.unpackb(
        packed, raw=False, unicode_errors="surrogateescape", strict_map_key=False, ext_hook=lambda _code, _data: None
    )
    chunk = options.get("chunk")
    if isinstance(chunk, bytes):
        try:
            return chunk.decode()
        except UnicodeDecodeError:
            pass
    return chunk


# The size of the header of a str, a bin or an array, by its first byte.
TEXT_HEADS = {**dict.fromkeys(range(0xA0, 0xC0), 1), 0xD9: 2, 0xDA: 3, 0xDB: 5}
BYTES_HEADS = {**TEXT_HEADS, 0xC4: 2, 0xC5: 3, 0xC6: 5}
ARRAY_HEADS = {**dict.fromkeys(range(0x90, 0xA0), 1), 0xDC: 3, 0xDD: 5}
