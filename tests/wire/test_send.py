import base64
import socket
from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import WireError
from logship.wire.receive import Batch, Decoder, acknowledge
from logship.wire.send import ACK_LIMIT_BYTES, AckReader, encode_batch, frame_head, frame_tail, new_chunk
from tests.wire.samples import ENTRIES, NOW_NS, TEXT, cut, pack_entries, pack_entry


@given(TEXT, ENTRIES, st.text(max_size=70).filter(str.isascii))
def test_decoding_is_the_inverse_of_encoding(
    tag: str, entries: list[tuple[int, dict[str, object]]], chunk: str
) -> None:
    frame = encode_batch(tag, pack_entries(entries), chunk, len(entries))
    assert Decoder().feed(frame) == [Batch(tag, entries, chunk, len(frame))]


def test_head_view_and_tail_go_out_without_a_copy() -> None:
    mapping = memoryview(b"before" + pack_entry(NOW_NS, {"message": "hello"}) + b"behind")
    entries, chunk = mapping[6:-6], new_chunk()
    near, far = socket.socketpair()
    with near, far:
        near.sendmsg([frame_head("logship.events", len(entries)), entries, frame_tail(chunk, 1)])
        [batch] = Decoder().feed(far.recv(4096))
    assert batch.entries == [(NOW_NS, {"message": "hello"})]
    assert batch.chunk == chunk


def test_the_msgpack_library_reads_our_frames_as_the_protocol_says() -> None:
    entries = pack_entry(NOW_NS, {"n": 1}) + pack_entry(NOW_NS + 1, {"n": 2})
    frame = msgpack.unpackb(encode_batch("logship.events", entries, "a chunk", 2))
    assert frame == ["logship.events", entries, {"chunk": "a chunk", "size": 2}]


def test_a_frame_without_entries_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one entry"):
        encode_batch("logship.events", b"", new_chunk(), 0)


def test_chunks_are_16_random_bytes_as_text() -> None:
    chunks = {new_chunk() for _ in range(100)}
    assert len(chunks) == 100
    assert {len(base64.b64decode(chunk, validate=True)) for chunk in chunks} == {16}


@given(st.lists(st.text(max_size=40), max_size=6), st.data())
def test_a_reader_of_acknowledgements_does_not_care_how_bytes_arrive(chunks: list[str], data: st.DataObject) -> None:
    chunks = [chunk.encode("utf-8", "replace").decode() for chunk in chunks]
    reader, pieces = AckReader(), cut(b"".join(map(acknowledge, chunks)), data)
    assert [chunk for piece in pieces for chunk in reader.feed(piece)] == chunks


@pytest.mark.parametrize("use_bin_type", [True, False])
def test_an_acknowledgement_may_hold_more_and_its_chunk_may_be_bin(use_bin_type: bool) -> None:
    ack = msgpack.packb({"more": [1, None, {}], "ack": b"c" * 300}, use_bin_type=use_bin_type)
    assert AckReader().feed(ack) == ["c" * 300]


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400 Bad Request", b"\xc0", b"\x81\xa3nak\xa1x", b"\x81\xa3ack\x01", b"\xc1"]
)
def test_anything_but_an_acknowledgement_is_an_error(garbage: bytes) -> None:
    with pytest.raises(WireError):
        AckReader().feed(garbage)


def test_an_acknowledgement_that_never_ends_is_an_error() -> None:
    reader, begun = AckReader(), b"\x81\xa3ack\xdb\xff\xff\xff\xff"
    assert reader.feed(begun) == []
    assert reader.feed(b"x" * (ACK_LIMIT_BYTES - len(begun))) == []
    with pytest.raises(WireError, match="not a complete acknowledgement"):
        reader.feed(b"x")


@given(st.binary(max_size=100))
def test_any_bytes_give_acknowledgements_or_one_error(data: bytes) -> None:
    with suppress(WireError):
        AckReader().feed(data)
