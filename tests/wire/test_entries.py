import gzip
import tracemalloc

import msgpack
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import WireError
from logship.wire.entries import MEMBERS, SLICE_BYTES, EntryLimits, decode_entries, inflate
from tests.conftest import first
from tests.wire.samples import ENTRIES, NOW_NS, event_time, pack, pack_entries, pack_entry

LIMITS = EntryLimits()


@given(ENTRIES)
def test_what_is_packed_is_decoded(entries: list[tuple[int, dict[str, object]]]) -> None:
    assert decode_entries(pack_entries(entries), LIMITS) == entries


def test_entries_that_take_several_slices_keep_their_order() -> None:
    entries: list[tuple[int, dict[str, object]]] = [(NOW_NS + n, {"n": n, "text": "x" * 1000}) for n in range(1000)]
    packed = pack_entries(entries)
    assert len(packed) > 3 * SLICE_BYTES
    assert decode_entries(packed, LIMITS) == entries


def test_keys_that_are_no_text_become_text() -> None:
    record = {b"bytes": 1, b"\xff": 2, 3: {4.5: 4, None: 5, True: 6}, "list": [{7: 8}]}
    assert decode_entries(pack([1, record]), LIMITS) == [
        (10**9, {"bytes": 1, "\ufffd": 2, "3": {"4.5": 4, "None": 5, "True": 6}, "list": [{"7": 8}]})
    ]


@pytest.mark.parametrize("other", [{}, {1: 1}])  # with the second, the slower decoder reads it
def test_values_that_json_does_not_know_become_text(other: dict[object, object]) -> None:
    record: dict[object, object] = {
        "bytes": b"abc\xff",
        "time": event_time(5 * 10**9 + 7),
        "ext": msgpack.ExtType(5, b"\x0a\x0b"),
        "stamp": msgpack.Timestamp(1, 0),
        "nested": {"list": [b"x", [b"y"], event_time(0)]},
    }
    [(_, decoded)] = decode_entries(pack([1, record | other]), LIMITS)
    expected = {
        "bytes": "abc\ufffd",
        "time": "5.000000007",
        "ext": "ext 5: 0a0b",
        "stamp": "ext -1: 00000001",
        "nested": {"list": ["x", ["y"], "0.000000000"]},
    }
    assert {key: decoded[key] for key in expected} == expected


@pytest.mark.parametrize("key", [b"\x90", b"\x80", b"\x91" * 1000 + b"\x01"])
def test_a_key_that_is_a_list_or_a_map_is_an_error(key: bytes) -> None:
    with pytest.raises(WireError, match="key"):
        decode_entries(b"\x92\x01\x81" + key + b"\x01", LIMITS)


@pytest.mark.parametrize("entry", [b"\x93\x01\x80", b"\x92\x01", b"\x92", b"\x81\x01"])
def test_errors_can_tell_of_what_repr_cannot_follow(entry: bytes) -> None:
    with pytest.raises(WireError):
        decode_entries(entry + b"\x91" * 1000 + b"\x01", LIMITS)


def test_text_that_is_no_utf8_is_marked_and_kept() -> None:
    packed = pack_entry(NOW_NS, {"a": "before XY behind"}).replace(b"XY", b"\xff\xed")
    assert decode_entries(packed, LIMITS) == [(NOW_NS, {"a": "before \ufffd\ufffd behind"})]


def test_fluent_bits_marks_of_groups_are_no_records() -> None:
    marks = [
        b"\x92\x92\xd7\x00" + second + b"\0\0\0\0\x80\x81\xa1g\x01"
        for second in (b"\xff\xff\xff\xff", b"\xff\xff\xff\xfe")
    ]
    entry = pack_entry(NOW_NS, {"a": 1})
    assert decode_entries(marks[0] + entry + marks[1], LIMITS) == [(NOW_NS, {"a": 1})]


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value] if levels % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("allowed", "beyond", "limits"),
    [
        ([(1, {"a": nested(63)})], [(1, {"a": nested(64)})], EntryLimits()),
        ([(1, {"a": nested(62)})], [(1, {"a": nested(65)})], EntryLimits()),
        ([(1, {"a": nested(62)})], [(1, {"a": nested(1000)})], EntryLimits()),
        ([(1, {"a": nested(62)})], [(1, {"a": nested(5000)})], EntryLimits()),
        ([(1, {"a": "x" * 80})], [(1, {"a": "x" * 100})], EntryLimits(record_bytes=100)),
        ([(1, {"a": 1})] * 7, [(1, {"a": 1})] * 8, EntryLimits(entries=7)),
        ([(1, {"a": [1, 2]})], [(1, {"a": [1, 2, 3]})], EntryLimits(values=3)),
        ([(1, {"a": {"b": 1}})], [(1, {"a": {"b": 1, "c": 2}})], EntryLimits(values=2)),
        ([(1, {"a": {"b": [1]}})], [(1, {"a": {"b": [1], "c": 2}})], EntryLimits(values=3)),
        ([(1, {"a": 1})] * 3, [(1, {"a": 1})] * 4, EntryLimits(values=3)),
        ([(1, dict.fromkeys("abc"))], [(1, dict.fromkeys("abcd"))], EntryLimits(keys=3)),
        ([(1, {"x": dict.fromkeys("abc")})], [(1, {"x": dict.fromkeys("abcd")})], EntryLimits(keys=3)),
        ([(1, {"x": [dict.fromkeys("abc")]})], [(1, {"x": [dict.fromkeys("abcd")]})], EntryLimits(keys=3)),
    ],
)
def test_limits(
    allowed: list[tuple[int, dict[str, object]]], beyond: list[tuple[int, dict[str, object]]], limits: EntryLimits
) -> None:
    assert len(decode_entries(packed_iteratively(allowed), limits)) == len(allowed)
    with pytest.raises(WireError):
        decode_entries(packed_iteratively(beyond), limits)


def packed_iteratively(entries: list[tuple[int, dict[str, object]]]) -> bytes:
    """As pack_entries; msgpack's own packer refuses what nests deeper than 511 levels."""
    return b"".join(b"\x92\x01" + pieces(record) for _, record in entries)


def pieces(value: object) -> bytes:
    out, todo = bytearray(), [value]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            out += b"\xde" + len(value).to_bytes(2, "big")
            todo += [part for pair in reversed(value.items()) for part in reversed(pair)]
        elif isinstance(value, list):
            out += b"\xdc" + len(value).to_bytes(2, "big")
            todo += reversed(value)
        else:
            out += pack(value)
    return bytes(out)


@pytest.mark.parametrize("filler", first(2, [b"\x81\x01\x80", b"\xa2ab", b"\x80", b"\x90", b"\xd4\x01\x01", b"\xc4\x00"]))
def test_small_bytes_do_not_become_much_memory(filler: bytes) -> None:
    size = 1_000_000 // len(filler)
    entry = b"\x92\x01\x81\xa1a\xdd" + size.to_bytes(4, "big") + filler * size
    limits = EntryLimits(values=100_000)
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match="values"):
            decode_entries(entry * 8, limits)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # One record is made before it is counted: at most 1 MiB of them, some 64 to 240 bytes for each of its values.
    assert peak < 300_000_000


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=5))
def test_compressed_parts_end_to_end_are_one_text(parts: list[bytes]) -> None:
    compress = zstandard.ZstdCompressor().compress
    assert inflate(b"".join(map(gzip.compress, parts)), "gzip", 20_000) == b"".join(parts)
    assert inflate(b"".join(map(compress, parts)), "zstd", 20_000) == b"".join(parts)


COMPRESSORS = {"gzip": gzip.compress, "zstd": zstandard.ZstdCompressor().compress}


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_what_is_cut_off_damaged_or_of_another_kind_is_an_error(kind: str) -> None:
    packed = COMPRESSORS[kind](bytes(range(256)) * 50)
    other = COMPRESSORS["gzip" if kind == "zstd" else "zstd"](b"x")
    for damaged in (b"", packed[:-1], packed[:20], packed + b"tail", b"x" + packed, packed + packed[:-1], other):
        with pytest.raises(WireError):
            inflate(damaged, kind, 10**6)


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_bomb_is_refused_before_it_has_gone_off(kind: str) -> None:
    bomb = COMPRESSORS[kind](bytes(300_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match="inflates to more than"):
            inflate(bomb, kind, 2**20)
        assert tracemalloc.get_traced_memory()[1] < 80_000_000
    finally:
        tracemalloc.stop()


def test_a_zstd_header_cannot_ask_for_a_big_window() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    packed = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(WireError, match="memory"):
        inflate(packed.compress(bytes(10)) + packed.flush(), "zstd", 2**20)


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_endless_empty_parts_are_refused(kind: str) -> None:
    with pytest.raises(WireError, match="parts"):
        inflate(COMPRESSORS[kind](b"") * (MEMBERS + 1), kind, 2**20)
