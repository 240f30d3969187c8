"""The sender of the Forward protocol v1: frames out, acknowledgements in. Bytes only, no sockets.

A frame is PackedForward, [tag, bin, {"chunk": text, "size": n}]. `chunk` is a msgpack str: Fluent Bit closes the
connection on any other type. The bin holds entries end to end, so that the head, a view of the mapped journal and the
tail can be passed to sendmsg() without a copy. Agents acknowledge the bin unchecked: send complete entries only."""

import binascii
import os

from logship.errors import WireError
from logship.wire import atoms
from logship.wire.strangers import other_server

# An acknowledgement has 30 bytes; other agents may add fields.
ACK_LIMIT_BYTES = 4096


def new_chunk() -> str:
    """Return the id of a frame for its acknowledgement: base64 of 16 random bytes, 24 characters."""
    return binascii.b2a_base64(os.urandom(16), newline=False).decode("ascii")


def frame_head(tag: str, body_bytes: int) -> bytes:
    """Return the bytes before the entries of a frame. ValueError without entries: agents close the connection on that."""
    if not body_bytes:
        raise ValueError("a frame needs at least one entry")
    return b"\x93" + atoms.text(tag) + atoms.bin_head(body_bytes)


def frame_tail(chunk: str, records: int) -> bytes:
    """Return the bytes after the entries of a frame: the request to acknowledge `chunk`, and the number of records."""
    return b"\x82\xa5chunk" + atoms.text(chunk) + b"\xa4size" + atoms.number(records)


def encode_batch(tag: str, entries: bytes, chunk: str, records: int) -> bytes:
    """Return one PackedForward message that requests an acknowledgement from the agent.

    `entries`: msgpack [EventTime, record] pairs end to end, oldest first; `chunk`: from `new_chunk`, echoed as
    {"ack": chunk}. ValueError if `entries` is empty. Source: Forward Protocol v1."""
    return frame_head(tag, len(entries)) + entries + frame_tail(chunk, records)


class AckReader:
    """Reads acknowledgements of an agent, however the bytes are split. One for each connection."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """Return the chunks acknowledged by `data`, in order. On WireError close the connection."""
        if not self._held and (server := other_server(data[:16])):
            raise WireError(server)
        self._held += data
        chunks: list[str] = []
        at = 0
        while (taken := atoms.take(self._held, at)) is not None:
            message, at = taken
            ack = message.get(b"ack") if isinstance(message, dict) else None
            if not isinstance(ack, bytes):
                raise WireError(f"the agent sent {message!r:.100} instead of an acknowledgement")
            chunks.append(ack.decode("utf-8", "surrogateescape"))
        del self._held[:at]
        if len(self._held) > ACK_LIMIT_BYTES:
            raise WireError(f"the agent sent {len(self._held)} bytes that are not a complete acknowledgement")
        return chunks
