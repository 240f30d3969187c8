"""The chain begins, goes on, and is set aside when it cannot be verified."""

from pathlib import Path

import orjson
import pytest

from logship.errors import SettingsError, StoreError
from logship.search.integrity import Anchor, integrity, parse_anchors
from logship.search.query import Query
from logship.store.chain.check import ChainCheck
from logship.store.chain.keys import read_keys
from logship.store.chain.record import CHAIN
from logship.store.files import read_listing
from logship.store.write.store import Store
from tests.store.events import events


def put(directory: Path, low: int, key_file: str = "") -> None:
    with Store(directory, integrity_key_file=key_file) as store:
        store.append(events(low, low + 9))
        store.seal()


def kinds(directory: Path) -> list[str]:
    return [orjson.loads(line)["kind"] for line in (directory / CHAIN).read_bytes().splitlines()]


def test_an_older_store_gets_a_chain_with_what_is_there(directory: Path) -> None:
    put(directory, 1)
    (directory / CHAIN).unlink()
    assert ChainCheck(directory).integrity(Query()).sentence == "this store has no chain of digests yet; `logship up` begins it"
    put(directory, 11)
    assert kinds(directory) == ["begin", "known", "seal"]
    found = ChainCheck(directory).integrity(Query())
    assert (found.finding, found.segments, found.before_chain) == ("consistent", 2, 1)
    assert "1 segment older than the chain, unchanged since it began" in found.sentence


@pytest.mark.parametrize("damage", [b"\xff\xff", b'{"n":1}\n', b"\n"])
def test_a_damaged_chain_is_set_aside_and_everything_else_goes_on(damage: bytes, directory: Path) -> None:
    put(directory, 1)
    data = (directory / CHAIN).read_bytes()
    (directory / CHAIN).write_bytes(data[:100] + damage + data[100:])
    found = ChainCheck(directory).integrity(Query())
    assert (found.finding, found.flaws[0].name) == ("changed", CHAIN)
    with pytest.raises(StoreError):
        ChainCheck(directory).anchor()
    put(directory, 11)
    assert (directory / "chain.1.bad").read_bytes() == data[:100] + damage + data[100:]
    found = ChainCheck(directory).integrity(Query())
    assert (found.finding, [flaw.name for flaw in found.flaws]) == ("changed", ["chain.1.bad"])
    (directory / "chain.1.bad").unlink()  # what someone does who has looked at it
    assert ChainCheck(directory).integrity(Query()).finding == "consistent"


def test_a_torn_last_line_is_cut(directory: Path) -> None:
    put(directory, 1)
    data = (directory / CHAIN).read_bytes()
    (directory / CHAIN).write_bytes(data + b'{"n":2,"time":"2026')
    assert ChainCheck(directory).integrity(Query()).finding == "consistent"
    put(directory, 11)
    assert (directory / CHAIN).read_bytes().startswith(data + b'{"n":2,"time":')
    assert kinds(directory) == ["begin", "seal", "seal"]


def test_a_chain_that_is_changed_while_the_collector_runs_is_set_aside(directory: Path) -> None:
    with Store(directory) as store:
        store.append(events(1, 10))
        store.seal()
        (directory / CHAIN).write_bytes(b"")
        store.append(events(11, 20))
        store.seal()
    assert (directory / "chain.1.bad").read_bytes() == b""
    assert kinds(directory) == ["begin", "seal"]
    assert [flaw.name for flaw in ChainCheck(directory).integrity(Query()).flaws] == ["chain.1.bad"]


def test_a_chain_that_cannot_be_read_does_not_stop_the_collector(directory: Path) -> None:
    put(directory, 1)
    (directory / CHAIN).unlink()
    (directory / CHAIN).mkdir()
    put(directory, 11)
    assert (directory / "chain.1.bad").is_dir()
    assert len(read_listing(directory).segments) == 2


def test_a_key_for_a_chain_that_is_not_signed_begins_another_chain(directory: Path, tmp_path: Path) -> None:
    (key := tmp_path / "key").write_text("k" * 32)
    key.chmod(0o600)
    put(directory, 1)
    put(directory, 11, str(key))
    assert (directory / "chain.1.bad").exists()
    (directory / "chain.1.bad").unlink()
    found = ChainCheck(directory, str(key)).integrity(Query())
    assert (found.finding, found.signed, found.before_chain) == ("consistent", True, 1)
    assert ChainCheck(directory).integrity(Query()).signed is False


@pytest.mark.parametrize(("text", "mode"), [("k" * 31, 0o600), ("", 0o600), ("k" * 32, 0o644), (None, 0)])
def test_a_key_that_is_short_or_open_to_others_is_an_error(text: str | None, mode: int, tmp_path: Path) -> None:
    key = tmp_path / "key"
    if text is not None:
        key.write_text(text)
        key.chmod(mode)
    with pytest.raises(SettingsError, match="LOGSHIP_INTEGRITY_KEY_FILE"):
        read_keys(str(key))


def test_an_anchor_is_a_line_that_survives_a_mail(directory: Path) -> None:
    put(directory, 1)
    anchor = ChainCheck(directory).anchor()
    assert parse_anchors(f"Subject: today\n> {anchor}\n> {anchor}") == [anchor, anchor]
    other = Anchor("0" * 16, 0, "0" * 64, "2026-11-29T00:00:00Z")
    found = ChainCheck(directory).integrity(Query(), [anchor, other])
    assert (found.finding, found.anchored_to) == ("changed", None)
    assert "the store or its chain was replaced" in found.sentence


def test_a_source_without_a_chain_is_unknown() -> None:
    assert integrity(object(), Query()).finding == "unknown"
