"""What is set aside: kept whole, within a limit, and never at the cost of what is there."""

from pathlib import Path

import pytest

from logship.state import aside


def test_a_record_is_kept_and_seen(tmp_path: Path) -> None:
    path = aside.keep(tmp_path / "refused", "one.msgpack", b"record")
    assert path.read_bytes() == b"record"
    assert aside.held(tmp_path) == {tmp_path / "refused": (1, 6)}


def test_what_does_not_fit_is_not_kept_and_what_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "LIMIT_BYTES", 100)
    first = aside.keep(tmp_path / "refused", "first", b"x" * 60)
    with pytest.raises(OSError, match="holds 60 bytes and its limit is 100"):
        aside.keep(tmp_path / "refused", "second", b"x" * 60)
    source = tmp_path / "third"
    source.write_bytes(b"x" * 60)
    with pytest.raises(OSError, match="its limit is 100"):
        aside.move(tmp_path / "refused", "third", source)
    assert first.exists()
    assert source.exists()
    assert aside.move(tmp_path / "unreadable", "third", source).read_bytes() == b"x" * 60
