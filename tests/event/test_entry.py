"""Entries: what is packed is unpacked, by us and by msgpack, and what is not an entry is refused."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.event import entry
from logship.wire.entries import EntryLimits, decode_entries

VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text()
FIELDS = st.dictionaries(st.text(max_size=20), VALUES, max_size=20)
NO_ENTRIES = (b"", b"\xc1", b"\x01", msgpack.packb([1, 2]), msgpack.packb([msgpack.ExtType(1, b"x" * 8), {}]))


@given(st.integers(0, entry.LATEST_NS - 1), FIELDS)
def test_what_is_packed_is_unpacked(time_ns: int, fields: dict[str, object]) -> None:
    packed = entry.pack(time_ns, fields)
    assert entry.unpack(packed) == (time_ns, fields)
    assert decode_entries(packed, EntryLimits()) == [(time_ns, fields)]


def test_a_foreign_reader_sees_an_event_time_and_a_map() -> None:
    time, fields = msgpack.unpackb(entry.pack(1_700_000_000_000_000_001, {"message": "m", "at": object}))
    assert time == msgpack.ExtType(0, (1_700_000_000).to_bytes(4, "big") + (1).to_bytes(4, "big"))
    assert fields == {"message": "m", "at": "<class 'object'>"}


@pytest.mark.parametrize("time_ns", [-1, entry.LATEST_NS, 2**63])
def test_a_time_that_does_not_fit_is_kept_as_text(time_ns: int) -> None:
    nearest_ns, fields = entry.unpack(entry.pack(time_ns, {}))
    assert nearest_ns in {0, entry.LATEST_NS - 1}
    assert fields["event.created"]


def test_a_whole_entry_has_sequence_and_id() -> None:
    time_ns, fields = entry.unpack(entry.whole(5, {"message": "m"}, "ab" * 12, 8))
    assert (time_ns, fields) == (5, {"message": "m", "event.sequence": 8, "event.id": f"{'ab' * 12}-000000000008"})


@pytest.mark.parametrize("value", NO_ENTRIES)
def test_what_is_not_an_entry_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="not an entry"):
        entry.unpack(value)
