"""Log levels that an operator sets for a while."""

from pathlib import Path

import pytest

from logship.state import levels
from logship.state.levels import LevelOverride


def test_an_override_is_read_until_it_ends(tmp_path: Path) -> None:
    levels.add(tmp_path, LevelOverride("debug", 100, "shop", 1), 50)
    levels.add(tmp_path, LevelOverride("error", 200), 60)
    assert levels.read(tmp_path) == [LevelOverride("debug", 100, "shop", 1), LevelOverride("error", 200)]
    assert (tmp_path / levels.FILE).stat().st_mode & 0o777 == 0o600
    levels.add(tmp_path, LevelOverride("warning", 300), 150)
    assert levels.read(tmp_path) == [LevelOverride("warning", 300)]
    levels.add(tmp_path, LevelOverride("info", 160), 160)  # reset
    assert levels.read(tmp_path) == []


@pytest.mark.parametrize(
    ("override", "concerns"),
    [
        (LevelOverride("debug", 100), True),
        (LevelOverride("debug", 10), False),
        (LevelOverride("debug", 100, "shop", 2), True),
        (LevelOverride("debug", 100, "bank"), False),
        (LevelOverride("debug", 100, "shop", 0), False),
    ],
)
def test_whom_it_concerns(override: LevelOverride, concerns: bool) -> None:
    assert override.concerns("shop", 2, 50) is concerns


@pytest.mark.parametrize("content", [b"", b"{", b'[{"level": 1, "unknown": 2}]', b'{"a": 1}', b"[1]"])
def test_a_damaged_file_changes_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / levels.FILE).write_bytes(content)
    assert levels.read(tmp_path) == []
