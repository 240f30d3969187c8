"""The identity table: two copies of what matters, so that a kill in the middle of a write or a flipped bit costs neither."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import JournalUnreadable
from logship.state import identity
from logship.state.identity import FACTS_AT, SIZE_BYTES, Cell, Facts, Identity


def a_table(directory: Path, *facts: Facts) -> Identity:
    made = Identity("ab" * 12, facts[0], directory / "identity")
    for more in facts[1:]:
        made.write_facts(more)
    return made


def test_the_newest_facts_are_read_back(tmp_path: Path) -> None:
    a_table(tmp_path, Facts(service="a"), Facts(service="b"), Facts(service="c"))
    assert identity.read(tmp_path).facts == Facts(service="c")


def test_facts_with_bytes_that_are_not_utf_8_are_kept(tmp_path: Path) -> None:
    a_table(tmp_path, Facts(service="a", agent="file:/tmp/\udcff.log"))
    assert identity.read(tmp_path).facts.agent == "file:/tmp/\ufffd.log"


def test_a_kill_while_facts_are_written_leaves_those_from_before(tmp_path: Path) -> None:
    a_table(tmp_path, Facts(service="before", agent="a:1"), Facts(service="after", agent="a:1"))
    path = tmp_path / "identity"
    for at, left in zip(FACTS_AT, ("before", "after"), strict=True):
        whole = path.read_bytes()
        path.write_bytes(whole[: at + 20] + b"\xff\xff\xff" + whole[at + 23 :])
        found = identity.read(tmp_path)
        assert (found.facts.service, found.damaged) == (left, False)
        path.write_bytes(whole)


def test_facts_of_which_no_copy_is_readable_are_called_damaged(tmp_path: Path) -> None:
    a_table(tmp_path, Facts(service="a"), Facts(service="b"))
    path = tmp_path / "identity"
    data = bytearray(path.read_bytes())
    for at in FACTS_AT:
        data[at + 12] ^= 1
    path.write_bytes(data)
    found = identity.read(tmp_path)
    assert (found.facts, found.damaged) == (Facts(), True)


@pytest.mark.parametrize(("size", "damaged"), [(0, True), (100, True), (600, True), (4000, False), (SIZE_BYTES, False)])
def test_of_a_table_that_was_cut_off_what_is_left_is_read_and_what_it_had_counted_is_not_made_up(
    tmp_path: Path, size: int, damaged: bool
) -> None:
    cells = a_table(tmp_path, Facts(service="a"), Facts(service="b")).cells
    cells[Cell.SEQUENCE] = 7
    path = tmp_path / "identity"
    path.write_bytes(path.read_bytes()[:size])
    found = identity.read(tmp_path)
    assert (found.damaged, found.lost_bytes) == (damaged, SIZE_BYTES - size)
    reopened = identity.reopen(tmp_path)
    assert reopened[Cell.SEQUENCE] == (7 if size > 16 else 0)
    assert reopened[Cell.UNREADABLE_BYTES] == (SIZE_BYTES - size if size < 504 else 0)
    assert identity.reopen(tmp_path)[Cell.UNREADABLE_BYTES] == reopened[Cell.UNREADABLE_BYTES], "counted once"


def test_another_versions_table_is_not_read(tmp_path: Path) -> None:
    a_table(tmp_path, Facts(service="a"))
    path = tmp_path / "identity"
    path.write_bytes(b"LSHIPID9" + path.read_bytes()[8:])
    with pytest.raises(JournalUnreadable, match="another version"):
        identity.read(tmp_path)


@given(texts=st.lists(st.text(max_size=8000), min_size=7, max_size=7))
def test_facts_of_any_length_fit_their_place(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("facts")
    service, version, environment, instance, host, agent, server = texts
    facts = Facts(
        service=service, version=version, environment=environment, instance=instance, host=host, agent=agent, server=server
    )
    a_table(folder, Facts(service="short"), facts)
    found = identity.read(folder)
    assert not found.damaged
    assert service.startswith(found.facts.service)
    assert found.facts.service or not service


def test_of_two_marks_that_differ_the_lower_one_counts(tmp_path: Path) -> None:
    cells = a_table(tmp_path, Facts()).cells
    identity.move_mark(cells, 3 << 32 | 7)
    assert identity.mark_of(cells) == 3 << 32 | 7
    cells[Cell.MARK] |= 1 << 9  # a flipped bit
    assert identity.mark_of(cells) == 3 << 32 | 7
    cells[Cell.MARK] = 4 << 32  # a kill between the two
    assert identity.mark_of(cells) == 3 << 32 | 7


def test_a_counter_that_nobody_can_have_reached_counts_nothing(tmp_path: Path) -> None:
    cells = a_table(tmp_path, Facts()).cells
    cells[Cell.DROPPED] = 5 | 1 << 62
    cells[Cell.SLOT] = 3 | 1 << 40
    assert identity.dropped(cells)["journal_full"] == 0
    assert identity.read(tmp_path).slot is None


def test_the_layout_is_as_documented(tmp_path: Path) -> None:
    a_table(tmp_path, Facts(service="first"), Facts(service="second"))
    data = (tmp_path / "identity").read_bytes()
    assert data[:8] == b"LSHIPID1"
    for at in FACTS_AT:
        (length,) = struct.unpack_from("<I", data, at)
        assert 0 < length < identity.FACTS_BYTES
