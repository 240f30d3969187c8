"""Colours are used where the terminal has them."""

import sys

import pytest

from logship.cli.terminal import style
from tests.cli.conftest import Stream


@pytest.mark.parametrize(
    ("terminal", "variables", "colors"),
    [
        (True, {"TERM": "xterm"}, 16),
        (True, {"TERM": "xterm-256color"}, 256),
        (True, {"TERM": "xterm", "COLORTERM": "truecolor"}, 256),
        (True, {"TERM": "xterm-256color", "NO_COLOR": "1"}, 0),
        (True, {"TERM": "dumb"}, 0),
        (False, {"TERM": "xterm-256color"}, 0),
    ],
)
def test_the_terminal_decides_how_many_colors_there_are(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, variables: dict[str, str], colors: int
) -> None:
    for name in ("TERM", "COLORTERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Stream(terminal))
    style.color_count.cache_clear()
    try:
        assert style.color_count() == colors
        assert style.paint("x", "bold red") == ("\x1b[1;31mx\x1b[0m" if colors else "x")
        assert style.paint("x", "208") == ("\x1b[38;5;208mx\x1b[0m" if colors == 256 else "x")
    finally:
        monkeypatch.undo()
        style.color_count.cache_clear()
