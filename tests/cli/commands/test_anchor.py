"""`logship anchor` prints a line, and `logship verify` compares the store with it."""

import json
from pathlib import Path

from logship.store.chain.record import CHAIN
from logship.store.files import read_listing
from tests.cli.conftest import Kept, Logship


def test_a_store_that_was_changed_is_status_5(kept: Kept, logship: Logship, tmp_path: Path) -> None:
    kept.put(1, 2, 3)
    kept.put(4, **{"event.dataset": "logship.worker", "event.action": "worker-closed", "logship.emitted": 4})
    kept.store.seal()
    anchor = logship("anchor", "--source", kept.at)
    assert (anchor.returncode, anchor.stdout[:21]) == (0, "logship-anchor store=")
    (tmp_path / "anchors").write_text(anchor.stdout)
    plain = logship("verify", "--source", kept.at)
    assert plain.returncode == 0
    assert "integrity consistent: 1 segment is as recorded; not anchored" in plain.stderr
    for given in (anchor.stdout.strip(), str(tmp_path / "anchors")):
        anchored = logship("verify", "--json", "--anchor", given, "--source", kept.at)
        row = json.loads(anchored.stdout)
        assert (anchored.returncode, row["finding"], row["integrity"]["finding"]) == (0, "complete", "intact")

    (segment,) = read_listing(Path(kept.at)).segments
    data = bytearray((Path(kept.at) / segment.name).read_bytes())
    data[30] ^= 1
    (Path(kept.at) / segment.name).write_bytes(data)
    changed = logship("verify", "--source", kept.at)
    assert changed.returncode == 5
    assert f"integrity changed: {segment.name}: its content is not what was recorded" in changed.stderr


def test_a_text_that_is_no_anchor_is_an_error(kept: Kept, logship: Logship) -> None:
    kept.put(1)
    told = logship("verify", "--anchor", "yesterday", "--source", kept.at)
    assert (told.returncode, told.stdout) == (2, "")
    assert "'yesterday' is not an anchor: use the line that `logship anchor` printed" in told.stderr


def test_a_store_without_a_chain_has_no_anchor(kept: Kept, logship: Logship) -> None:
    kept.put(1)
    (Path(kept.at) / CHAIN).unlink()
    told = logship("anchor", "--source", kept.at)
    assert told.returncode == 3
    assert "the store has no chain yet; start `logship up`" in told.stderr
