"""Text measured in terminal columns."""

import pytest

from logship.cli.terminal.text import cells, fit, wrap


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("世界", 4), ("e\u0301", 1), ("", 0)])
def test_wide_and_combining_characters_are_measured(text: str, columns: int) -> None:
    assert cells(text) == columns


@pytest.mark.parametrize("text", ["a short text", "世界 " * 20, "word" * 30, "one-two-three " * 9, "", " "])
@pytest.mark.parametrize("room", [1, 2, 7, 30])
def test_wrapped_lines_fit_and_keep_every_character(text: str, room: int) -> None:
    lines = wrap(text, room)
    assert max(map(cells, lines)) <= max(room, 2)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["abc", "世界世界", "a long text"])
@pytest.mark.parametrize("room", [1, 4, 5, 20])
def test_fitted_text_takes_exactly_the_room(text: str, room: int) -> None:
    assert cells(fit(text, room)) in {room, room - 1}  # half of a wide character cannot be shown
    assert cells(fit(text, 20, right=True)) == 20
