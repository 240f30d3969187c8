"""The sender's half of the Forward protocol v1: frames out, acknowledgements in. Bytes only, no sockets.

A frame is PackedForward, [tag, bin, {"chunk": text, "size": n}]. `chunk` is a msgpack str: Fluent Bit closes the
connection on any other type. The bin is entries end to end, so that head, a view of the journal's mapping and tail
can go to sendmsg() without a copy. Nobody checks the bin before it is acknowledged: send whole entries only."""

import binascii
import os

from logship.errors import WireError
from logship.wire import atoms
from logship.wire.strangers import other_server

# An acknowledgement has 30 bytes; fluentd and others may add a little.
ACK_LIMIT_BYTES = 4096


def new_chunk() -> str:
    """Return a frame's name for its acknowledgement: base64 of 16 random bytes, 24 characters."""
    return binascii.b2a_base64(os.urandom(16), newline=False).decode("ascii")


def frame_head(tag: str, body_bytes: int) -> bytes:
    """Return what precedes a frame's entries. ValueError if there are none (an agent closes the connection on that)."""
    if not body_bytes:
        raise ValueError("a frame needs at least one entry")
    return b"\x93" + atoms.text(tag) + atoms.bin_head(body_bytes)


def frame_tail(chunk: str, records: int) -> bytes:
    """Return what follows a frame's entries: asks to acknowledge `chunk`, says how many records there are."""
    return b"\x82\xa5chunk" + atoms.text(chunk) + b"\xa4size" + atoms.number(records)


def encode_batch(tag: str, entries: bytes, chunk: str, records: int) -> bytes:
    """Return one PackedForward message that asks the agent for an acknowledgement.

    `entries`: msgpack [EventTime, record] pairs end to end, oldest first; `chunk`: from `new_chunk`, echoed as
    {"ack": chunk}. ValueError if `entries` is empty. Source: Forward Protocol v1."""
    return frame_head(tag, len(entries)) + entries + frame_tail(chunk, records)


class AckReader:
    """Turns what an agent sends back into the chunks it acknowledges, however the bytes are cut. One per connection."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[str]:
        """Return the chunks acknowledged by `data`, in order. WireError if it holds anything else; close then."""
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
            raise WireError(f"the agent sent {len(self._held)} bytes that are no whole acknowledgement")
        return chunks
