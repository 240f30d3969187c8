import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import WireError
from logship.wire.entries import EntryLimits
from logship.wire.receive import Batch, Decoder, acknowledge
from tests.wire.samples import (
    ENTRIES,
    MODES,
    NOW_NS,
    cut,
    event_time,
    forward,
    message,
    pack,
    pack_entries,
    pack_entry,
    packed_bin,
    packed_gzip,
)

Mode = Callable[[list[tuple[int, dict[str, Any]]], str, dict[str, Any]], bytes]
ENTRY = pack_entry(NOW_NS, {"message": "hello"})
HELLO: list[tuple[int, dict[str, Any]]] = [(NOW_NS, {"message": "hello"})]


@pytest.mark.parametrize("mode", MODES)
@given(ENTRIES)
def test_every_mode_carries_the_same_records(mode: Mode, entries: list[tuple[int, dict[str, Any]]]) -> None:
    batches = Decoder().feed(mode(entries, "shop.app", {"chunk": "c", "size": len(entries)}))
    assert [entry for batch in batches for entry in batch.entries] == entries
    assert {(batch.tag, batch.chunk) for batch in batches} == {("shop.app", "c")}


@given(st.lists(st.tuples(st.sampled_from(MODES), ENTRIES), max_size=4), st.data())
def test_a_decoder_does_not_care_how_bytes_arrive(
    sent: list[tuple[Mode, list[tuple[int, dict[str, Any]]]]], data: st.DataObject
) -> None:
    frames = b"".join(mode(entries, "t", {"chunk": str(number)}) for number, (mode, entries) in enumerate(sent))
    decoder = Decoder()
    assert [batch for piece in cut(frames, data) for batch in decoder.feed(piece)] == Decoder().feed(frames)
    assert decoder.pending_bytes == 0


@given(st.sampled_from(MODES), ENTRIES, st.data())
def test_damaged_bytes_decode_alike_however_they_arrive(
    mode: Mode, entries: list[tuple[int, dict[str, Any]]], data: st.DataObject
) -> None:
    frames = bytearray(mode(entries, "t", {"chunk": "1"}) * 2)
    for place in data.draw(st.lists(st.integers(0, len(frames) - 1), min_size=1, max_size=4), label="damage at"):
        frames[place] = data.draw(st.integers(0, 255), label="byte")
    whole, pieces = Decoder(), Decoder()
    assert repr(received(whole, [bytes(frames)])) == repr(received(pieces, cut(bytes(frames), data)))
    assert (whole.broken is None) == (pieces.broken is None)


@given(st.sampled_from(MODES), ENTRIES, st.data())
def test_a_frame_that_is_cut_off_is_waited_for_and_never_half_decoded(
    mode: Mode, entries: list[tuple[int, dict[str, Any]]], data: st.DataObject
) -> None:
    frame = mode(entries[:1], "t", {"chunk": "1"})
    size = data.draw(st.integers(0, len(frame) - 1))
    decoder = Decoder()
    assert decoder.feed(frame[:size]) == []
    assert decoder.pending_bytes == size
    assert len(decoder.feed(frame[size:])) == 1


@given(st.binary(max_size=200))
def test_any_bytes_give_batches_or_one_error(data: bytes) -> None:
    received(Decoder(), [data])


def test_good_frames_before_a_bad_one_are_not_lost() -> None:
    decoder = Decoder()
    good = packed_bin(HELLO, "t", {"chunk": "good"})
    assert [batch.chunk for batch in decoder.feed(good + b"garbage")] == ["good"]
    assert isinstance(decoder.broken, WireError)
    with pytest.raises(WireError, match="not a frame"):
        decoder.feed(good)


@pytest.mark.parametrize(
    ("time", "expected_ns"),
    [
        (event_time(NOW_NS), NOW_NS),
        (1_763_650_000, 1_763_650_000 * 10**9),
        (1_763_650_000.25, 1_763_650_000_250_000_000),
        ([event_time(NOW_NS), {"metadata": True}], NOW_NS),
        ([1_763_650_000, {}], 1_763_650_000 * 10**9),
    ],
)
def test_times(time: object, expected_ns: int) -> None:
    # A list in a message's second place would be a frame in Forward mode.
    alone = [] if isinstance(time, list) else [["t", time, {"a": 1}]]
    for frame in (*alone, ["t", [[time, {"a": 1}]]], ["t", pack([time, {"a": 1}])]):
        [batch] = Decoder().feed(pack(frame))
        assert batch.entries == [(expected_ns, {"a": 1})]


@pytest.mark.parametrize(
    "time", [-1, 2**63, -0.5, float("nan"), float("inf"), 1e300, True, None, {}, [1], msgpack.ExtType(1, b"x" * 8)]
)
def test_what_is_no_time_is_an_error(time: object) -> None:
    with pytest.raises(WireError, match=r"is not a time|is not between 1970 and 2262"):
        Decoder().feed(pack(["t", pack([time, {"a": 1}])]))


@pytest.mark.parametrize("option", [None, {}, {"size": 1}, {"compressed": "text"}, {"metadata": {"a": [1]}}])
def test_nobody_asks_for_an_acknowledgement_without_a_chunk(option: object) -> None:
    for frame in (["t", ENTRY, option], ["t", NOW_NS // 10**9, {"a": 1}, option], ["t", [[1, {}]], option]):
        assert Decoder().feed(pack(frame))[0].chunk is None


def test_a_chunk_may_be_bin_and_is_acknowledged_as_text() -> None:
    [batch] = Decoder().feed(pack(["t", ENTRY, {"chunk": b"abc"}]))
    assert batch.chunk == "abc"
    assert msgpack.unpackb(acknowledge("abc")) == {"ack": "abc"}


@pytest.mark.parametrize(
    "packed",
    [
        b"\xc4\x03\x00\xff\x01",  # bin that is not text
        b"\xa3\x00\xff\x01",  # a str whose bytes are no UTF-8
        b"\xa2\xc3\xa9",
        b"\xc4\x00",
        b"\xd9\x21" + b"\x80" * 33,
        b"\xc5\x01\x00" + bytes(range(256)),
    ],
)
def test_a_chunk_is_acknowledged_with_the_bytes_it_came_with(packed: bytes) -> None:
    option = b"\x81\xa5chunk" + packed
    frame = b"\x93\xa1t" + pack(pack([1, {"a": 1}])) + option
    [batch] = Decoder().feed(frame)
    assert batch.chunk is not None
    acknowledged = msgpack.unpackb(acknowledge(batch.chunk), raw=True)
    assert acknowledged == {b"ack": msgpack.unpackb(option, raw=True)[b"chunk"]}


def test_a_heartbeat_is_no_frame() -> None:
    frame = packed_bin(HELLO, "t", {})
    batch = Batch("t", [*HELLO], None, len(frame))
    assert Decoder().feed(b"\xc0\xc0" + frame + b"\xc0" + frame + b"\xc0") == [batch, batch]


@pytest.mark.parametrize(
    ("what", "frame"),
    [
        ("not a frame", {"ack": "x"}),
        ("not a frame", "text"),
        ("elements", ["t"]),
        ("elements", ["t", 1, {}, {}, {}]),
        ("tag of a frame is not text", [1, ENTRY]),
        ("tag of a frame is not text", [b"t", ENTRY]),
        ("no record", ["t", 1]),
        ("only the Message mode has four", ["t", ENTRY, {}, {}]),
        ("only the Message mode has four", ["t", [[1, {}]], {}, {}]),
        ("not an entry", ["t", 1, "not a map"]),
        ("no entries", ["t", b""]),
        ("no entries", ["t", []]),
        ("truncated", ["t", ENTRY[:-1]]),
        ("truncated", ["t", ENTRY + b"\xc1"]),
        ("not an entry", ["t", ENTRY + b"garbage"]),
        ("not an entry", ["t", [[1, {}], [2]]]),
        ("not an entry", ["t", pack([1, ["not a map"]])]),
        ("is not a map", ["t", ENTRY, [1]]),
        ("is not a map", ["t", ENTRY, 7]),
        ("must be text", ["t", ENTRY, {"chunk": 7}]),
        ("must be text", ["t", ENTRY, {"compressed": 7}]),
        ("lz4", ["t", ENTRY, {"compressed": "lz4"}]),
        ("metrics", ["t", ENTRY, {"fluent_signal": 1}]),
        ("option of a frame has", ["t", ENTRY, {"x": "x" * 70_000}]),
    ],
)
def test_what_is_no_frame_is_one_error_that_says_why(what: str, frame: object) -> None:
    with pytest.raises(WireError, match=what):
        Decoder().feed(pack(frame))


def test_other_protocols_are_told_at_the_first_byte() -> None:
    for words in (b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"<13>Nov 21 10:00:00 host", b"{"):
        with pytest.raises(WireError):
            Decoder().feed(words[:1])


@pytest.mark.parametrize("mode", [forward, packed_bin, packed_gzip])
def test_a_frame_beyond_the_limit_is_refused_while_it_arrives(mode: Mode) -> None:
    frame = mode([(NOW_NS, {"a": "x" * 100_000})], "t", {})
    limits = EntryLimits(frame_bytes=50_000)
    with pytest.raises(WireError, match="50000"):
        Decoder(limits).feed(frame)
    assert len(Decoder(EntryLimits(frame_bytes=110_000)).feed(frame)) == 1


def test_a_frame_that_never_ends_takes_no_more_than_its_limit() -> None:
    decoder, limits = Decoder(EntryLimits(frame_bytes=2**20)), 2**20
    tracemalloc.start()
    try:
        # A list of 2**32 empty maps, 64 bytes each once they are made.
        assert received(decoder, [b"\x93\xa1t\xdd\xff\xff\xff\xff"] + [b"\x80" * 2**16] * 100) == []
        assert tracemalloc.get_traced_memory()[1] < 8 * limits
    finally:
        tracemalloc.stop()
    assert "limit is 1048576" in str(decoder.broken)
    assert decoder.pending_bytes == 0


def test_a_frame_in_many_small_pieces_is_not_read_again_and_again() -> None:
    frame = forward([(NOW_NS, {"a": [1] * 500})] * 1500, "t", {})
    decoder = Decoder()
    # Nothing is timed: going on where the last piece ended takes half a second, starting again each time ten minutes.
    pieces = [frame[start : start + 16] for start in range(0, len(frame), 16)]
    [batch] = [batch for piece in pieces for batch in decoder.feed(piece)]
    assert len(batch.entries) == 1500


def test_between_big_frames_nothing_is_kept() -> None:
    big = packed_bin([(NOW_NS, {"a": "x" * 900_000})] * 5, "t", {})
    decoder = Decoder()
    assert len(decoder.feed(big + big[:10])) == 1
    assert decoder.pending_bytes == 10
    assert len(decoder.feed(big[10:] + big)) == 2
    assert decoder.pending_bytes == 0


def test_many_small_messages_in_one_piece() -> None:
    entries = [(NOW_NS + n, {"n": n}) for n in range(20_000)]
    batches = Decoder().feed(message(entries, "t", {}))
    assert [batch.entries[0] for batch in batches] == entries


def test_long_forms_of_heads_are_read() -> None:
    entries = pack_entries(HELLO * 2)
    long = b"\xdc\x00\x03\xdb\x00\x00\x00\x01t\xdd\x00\x00\x00\x02" + entries + b"\xdf\x00\x00\x00\x00"
    longer = b"\xdd\x00\x00\x00\x02\xda\x00\x01t\xdc\x00\x02" + entries
    assert [batch.entries for batch in Decoder().feed(long + longer)] == [HELLO * 2, HELLO * 2]


def received(decoder: Decoder, pieces: list[bytes]) -> list[Batch]:
    """What comes out of `pieces` until the decoder refuses them."""
    batches = []
    for piece in pieces:
        try:
            batches += decoder.feed(piece)
        except WireError:
            break
    return batches


@pytest.mark.parametrize("code", [0x80, 0xC8, 0x7F])
def test_an_option_may_hold_extension_types(code: int) -> None:
    frame = pack(["t", ENTRY, {"chunk": "c", "other": None}]).replace(b"\xa5other\xc0", b"\xa5other\xd4%c\x00" % code)
    [batch] = Decoder().feed(frame)
    assert batch.chunk == "c"
