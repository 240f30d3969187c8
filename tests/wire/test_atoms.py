from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import WireError
from logship.wire import atoms

SMALL = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.binary(max_size=40), inner, max_size=20),
    max_leaves=30,
)


@given(SMALL.filter(lambda value: depth(value) <= atoms.DEPTH), st.booleans())
def test_what_msgpack_packs_is_read_back(value: object, bin_type: bool) -> None:
    packed = msgpack.packb(value, use_bin_type=bin_type)
    assert atoms.take(packed + b"rest") == (value, len(packed))


@given(SMALL.filter(lambda value: depth(value) <= atoms.DEPTH))
def test_a_value_that_is_not_all_here_is_none(value: object) -> None:
    packed = msgpack.packb(value)
    assert all(atoms.take(packed[:size]) is None for size in range(len(packed)))


@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_none_or_one_error(data: bytes) -> None:
    with suppress(WireError):
        atoms.take(data)


@pytest.mark.parametrize("size", [0, 31, 32, 255, 256, 65535, 65536])
def test_heads_are_those_that_msgpack_reads(size: int) -> None:
    assert msgpack.unpackb(atoms.text("x" * size)) == "x" * size
    assert msgpack.unpackb(atoms.bin_head(size) + b"x" * size) == b"x" * size
    assert msgpack.unpackb(atoms.array_head(size) + b"\x01" * size) == [1] * size
    assert msgpack.unpackb(atoms.number(size)) == size


def test_more_than_32_bits_is_refused_here_and_not_by_the_agent() -> None:
    with pytest.raises(ValueError, match="4294967296"):
        atoms.bin_head(2**32)


def test_depth_is_bounded() -> None:
    assert atoms.take(b"\x91" * atoms.DEPTH + b"\x01") is not None
    with pytest.raises(WireError, match="nests deeper"):
        atoms.take(b"\x91" * (atoms.DEPTH + 1) + b"\x01")


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0
