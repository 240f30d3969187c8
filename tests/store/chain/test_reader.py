"""A chain that grows is read as if it were read for the first time; a change in what was read before is found."""

import pytest

from logship.store.chain.keys import Keys
from logship.store.chain.reader import ChainReader
from logship.store.chain.record import NO_DIGEST, encode, parse

KEYS = Keys((b"k" * 32,))


def chain(length: int, keys: Keys) -> list[bytes]:
    lines: list[bytes] = []
    previous = NO_DIGEST
    for number in range(length):
        name = f"{number:08d}-{number:08d}.1.{number}.{number}.parquet"
        fields = {"kind": "seal", "segment": {"name": name, "sha256": "a" * 64, "ids": ""}}
        begin = {"kind": "begin", "store": "0" * 16, "segments": {}}
        record = {"n": number, "time": "2026-11-20T10:00:00Z", **(fields if number else begin)}
        lines.append(encode(record, previous, keys))
        previous = parse(lines[-1].rstrip(b"\n"), number, previous).digest
    return lines


@pytest.mark.parametrize("keys", [Keys(), KEYS], ids=["unsigned", "signed"])
def test_what_was_appended_is_added_to_what_was_read(keys: Keys) -> None:
    lines, growing = chain(20, keys), ChainReader()
    for length in (1, 7, 7, 20):
        data = b"".join(lines[:length])
        torn = data + lines[-1][:30]
        assert growing.content(torn, keys) == ChainReader().content(data, keys)
    assert growing.content(b"".join(lines), keys).state.records == 20
    assert len(growing.content(b"".join(lines), keys).state.live) == 19


def test_a_change_of_what_was_read_before_is_found() -> None:
    lines, reader = chain(20, Keys()), ChainReader()
    assert reader.content(b"".join(lines), Keys()).broken == ""
    lines[3] = lines[3].replace(b"a" * 64, b"b" * 64)
    content = reader.content(b"".join(lines), Keys())
    assert content.broken.startswith("record 3 ")
    assert content.state.records == 3


def test_the_state_that_was_returned_does_not_change() -> None:
    lines, reader = chain(20, Keys()), ChainReader()
    first = reader.content(b"".join(lines[:5]), Keys()).state
    reader.content(b"".join(lines), Keys())
    assert (first.records, len(first.live)) == (5, 4)


def test_wanted_digests_are_those_of_the_records() -> None:
    lines, reader = chain(5, Keys()), ChainReader()
    data = b"".join(lines)
    reader.content(data, Keys())
    wanted = reader.content(data, Keys(), [3, 9]).digests
    assert wanted == {3: parse(lines[3].rstrip(b"\n"), 3, parse(lines[2].rstrip(b"\n"), 2, _digest(lines, 1)).digest).digest}


def test_another_key_is_not_taken_for_the_one_before() -> None:
    data, reader = b"".join(chain(5, KEYS)), ChainReader()
    assert reader.content(data, KEYS).broken == ""
    assert "signed with another key" in reader.content(data, Keys((b"x" * 32,))).broken


def _digest(lines: list[bytes], number: int) -> str:
    previous = NO_DIGEST
    for at in range(number + 1):
        previous = parse(lines[at].rstrip(b"\n"), at, previous).digest
    return previous
