"""Each manipulation of a store gets its verdict, before and after the collector has opened the store again."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from logship.search.integrity import Anchor, Integrity, IntegrityKind
from logship.search.query import Query
from logship.store.chain.check import ChainCheck
from logship.store.chain.keys import Keys, read_keys
from logship.store.chain.record import CHAIN
from logship.store.files import read_listing
from logship.store.write import merging
from logship.store.write.store import Store
from tests.store.chain import manipulating as attack
from tests.store.events import event, events

KEY = "0123456789abcdef" * 4


@dataclass
class Sealed:
    """A closed store with four sealed segments, and an anchor of it. `older`: a copy with two segments."""

    directory: Path
    older: Path
    key_file: str = ""

    def __post_init__(self) -> None:
        add(self.directory, range(2), self.key_file)
        shutil.copytree(self.directory, self.older)
        add(self.directory, range(2, 4), self.key_file)
        self.anchor = ChainCheck(self.directory, self.key_file).anchor()

    def open_again(self) -> None:
        Store(self.directory, integrity_key_file=self.key_file).close()

    def check(self, *anchors: Anchor) -> Integrity:
        return ChainCheck(self.directory, self.key_file).integrity(Query(), anchors)


def add(directory: Path, parts: range, key_file: str = "") -> None:
    with Store(directory, roll_records=10_000, integrity_key_file=key_file) as store:
        for part in parts:
            store.append([event(at, http__request__id=f"request-{at}") for at in range(part * 20 + 1, part * 20 + 21)])
            store.seal()


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    return Sealed(tmp_path / "store", tmp_path / "older")


@pytest.fixture
def signed(tmp_path: Path) -> Sealed:
    (key := tmp_path / "key").write_text(KEY)
    key.chmod(0o600)
    return Sealed(tmp_path / "store", tmp_path / "older", str(key))


def edit_and_chain_again(directory: Path) -> None:
    attack.edit_a_cell(directory)
    attack.chain_again(directory)


def delete_the_oldest_and_claim_retention(directory: Path, at: int = 0) -> None:
    first = attack.segments(directory)[at]
    (directory / first.name).unlink()
    remove: dict[str, object] = {"time": "2026-11-29T00:00:00.000000000Z", "kind": "remove", "segments": [first.name]}
    attack.chain_again(directory, lambda records: records.append(remove))


def delete_another_and_claim_retention(directory: Path) -> None:
    delete_the_oldest_and_claim_retention(directory, at=1)


MANIPULATIONS: list[tuple[Callable[[Path], None], IntegrityKind, IntegrityKind, IntegrityKind]] = [
    # (what is done, verdict without key and anchor, with an anchor, with a key)
    (attack.edit_a_cell, "changed", "changed", "changed"),
    (attack.delete_rows, "changed", "changed", "changed"),
    (attack.reorder_rows, "changed", "changed", "changed"),
    (attack.swap_segments, "changed", "changed", "changed"),
    (attack.delete_a_segment, "changed", "changed", "changed"),
    (attack.edit_the_ids, "changed", "changed", "changed"),
    (attack.hide_an_id, "changed", "changed", "changed"),
    (edit_and_chain_again, "consistent", "changed", "changed"),
    (delete_the_oldest_and_claim_retention, "consistent", "intact", "changed"),
    (delete_another_and_claim_retention, "changed", "changed", "changed"),
    (attack.cut_the_end, "consistent", "changed", "consistent"),
]


def named(rows: list[tuple[Callable[[Path], None], IntegrityKind, IntegrityKind, IntegrityKind]]) -> list[str]:
    return [row[0].__name__ for row in rows]


@pytest.mark.parametrize(("manipulate", "plain", "anchored", "_key"), MANIPULATIONS, ids=named(MANIPULATIONS))
def test_without_a_key(
    manipulate: Callable[[Path], None], plain: IntegrityKind, anchored: IntegrityKind, _key: str, sealed: Sealed
) -> None:
    assert (sealed.check().finding, sealed.check(sealed.anchor).finding) == ("consistent", "intact")
    manipulate(sealed.directory)
    assert (sealed.check().finding, sealed.check(sealed.anchor).finding) == (plain, anchored)
    sealed.open_again()
    assert (sealed.check().finding, sealed.check(sealed.anchor).finding) == (plain, anchored)


@pytest.mark.parametrize(("manipulate", "_plain", "anchored", "with_key"), MANIPULATIONS, ids=named(MANIPULATIONS))
def test_with_a_key_that_the_attacker_does_not_have(
    manipulate: Callable[[Path], None], _plain: str, anchored: IntegrityKind, with_key: IntegrityKind, signed: Sealed
) -> None:
    both = "changed" if "changed" in (anchored, with_key) else anchored
    assert (signed.check().finding, signed.check(signed.anchor).finding) == ("consistent", "intact")
    manipulate(signed.directory)
    assert (signed.check().finding, signed.check(signed.anchor).finding) == (with_key, both)
    signed.open_again()
    assert (signed.check().finding, signed.check(signed.anchor).finding) == (with_key, both)


def test_an_attacker_with_the_key_is_found_only_by_an_anchor(signed: Sealed) -> None:
    attack.edit_a_cell(signed.directory)
    attack.chain_again(signed.directory, keys=Keys((KEY.encode(),)))
    assert (signed.check().finding, signed.check(signed.anchor).finding) == ("consistent", "changed")


@pytest.mark.parametrize("kind", ["sealed", "signed"])
def test_a_deleted_chain_is_found_only_by_an_anchor(kind: str, request: pytest.FixtureRequest) -> None:
    store: Sealed = request.getfixturevalue(kind)
    attack.edit_a_cell(store.directory)
    (store.directory / CHAIN).unlink()
    assert (store.check().finding, store.check(store.anchor).finding) == ("unknown", "changed")
    store.open_again()
    found = store.check()
    assert (found.finding, found.before_chain, store.check(store.anchor).finding) == ("consistent", 4, "changed")


@pytest.mark.parametrize("kind", ["sealed", "signed"])
def test_an_older_copy_of_the_store_is_found_only_by_an_anchor(kind: str, request: pytest.FixtureRequest) -> None:
    store: Sealed = request.getfixturevalue(kind)
    shutil.rmtree(store.directory)
    store.older.rename(store.directory)
    found = store.check(store.anchor)
    assert (store.check().finding, found.finding) == ("consistent", "changed")
    assert "its end was cut, or this is an older copy" in found.sentence


def test_what_retention_removed_after_the_anchor_is_counted_because_the_record_may_be_forged(sealed: Sealed) -> None:
    delete_the_oldest_and_claim_retention(sealed.directory)
    found = sealed.check(sealed.anchor)
    assert (found.finding, found.removed_after_anchor) == ("intact", 20)
    assert "20 events removed by retention since the anchor, according to the chain" in found.sentence


def test_retention_is_not_an_accusation(sealed: Sealed) -> None:
    with Store(sealed.directory, retention_bytes=1) as store:
        assert len(store._maintenance.retain(0)) == 4
    found = sealed.check(sealed.anchor)
    assert (found.finding, found.segments, found.flaws) == ("intact", 0, ())
    assert found.removed_after_anchor == 80


def test_merging_is_not_an_accusation(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "MERGE_SEGMENTS", 3)
    with Store(sealed.directory) as store:
        store.append(events(81, 90))
        store.seal()
        store._maintenance.wait(lambda: len(read_listing(sealed.directory).segments) <= 3, 20)
    assert len(attack.segments(sealed.directory)) <= 3
    found = sealed.check(sealed.anchor)
    assert (found.finding, found.flaws) == ("intact", ())
    assert found.after_anchor >= 1
    attack.edit_a_cell(sealed.directory)
    assert sealed.check().finding == "changed"


def test_a_changed_segment_is_not_merged_so_that_the_evidence_stays(
    sealed: Sealed, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attack.reorder_rows(sealed.directory)
    monkeypatch.setattr(merging, "MERGE_SEGMENTS", 4)
    with Store(sealed.directory) as store:
        store._maintenance.wait(lambda: "it is not merged" in caplog.text, 20)
    assert "it is not merged" in caplog.text
    assert len(attack.segments(sealed.directory)) == 4
    assert sealed.check().finding == "changed"


def test_the_segments_of_a_window_are_read_and_all_must_be_there(sealed: Sealed) -> None:
    first, *_, last = attack.segments(sealed.directory)
    window = Query(since_ns=last.oldest_ns)
    attack.edit_a_cell(sealed.directory)
    found = ChainCheck(sealed.directory).integrity(window)
    assert (found.finding, found.segments, found.read) == ("consistent", 1, 1)
    (sealed.directory / attack.segments(sealed.directory)[0].name).unlink()
    found = ChainCheck(sealed.directory).integrity(window)
    assert (found.finding, [flaw.name for flaw in found.flaws]) == ("changed", [first.name])


def test_a_forged_segment_between_the_others_is_named(sealed: Sealed) -> None:
    wide = attack.rewrite(sealed.directory, "SELECT * FROM ({}) LIMIT 1")
    found = sealed.check()
    assert [flaw.reason for flaw in found.flaws if flaw.name == wide.name] == [
        "it is not in the chain, and takes the place of what is"
    ]


def test_what_was_not_read_is_not_judged(sealed: Sealed) -> None:
    check = ChainCheck(sealed.directory, limit_bytes=1)
    found = check.integrity(Query())
    assert (found.finding, found.read, found.segments) == ("unknown", 1, 4)
    assert found.sentence == "1 of 4 segments read so far, as recorded; run the check again for the rest"
    assert [check.integrity(Query()).read for _ in range(3)] == [2, 3, 4]
    assert check.integrity(Query()).finding == "consistent"


def test_a_key_can_be_replaced(signed: Sealed) -> None:
    Path(signed.key_file).write_text("f" * 64 + "\n" + KEY)
    signed.open_again()
    add(signed.directory, range(4, 5), signed.key_file)
    found = signed.check(signed.anchor)
    assert (found.finding, found.signed) == ("intact", True)
    assert read_keys(signed.key_file).signed("a", Keys((b"f" * 64,)).sign("a"))
