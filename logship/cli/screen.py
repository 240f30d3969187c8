"""What reaches a terminal: every write of a command to stdout and stderr passes `Screen.write` or `Screen.draw`.

What events, names and addresses hold was written by strangers. A control character in it never reaches a terminal,
whichever command prints it and however; a pipe or a file gets the text as it is."""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, Final, TextIO, cast

from logship.event.invisible import visible_lines

# The colours of `show.paint`.
_COLOR: Final = re.compile(r"(\x1b\[[0-9;]{0,24}m)")


class Screen:
    """A text stream of a terminal that shows control characters as text: \\x1b, \\u202e."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal

    def write(self, text: str) -> int:
        """Write `text`; ends of lines and tabs are the only controls that stay."""
        self._terminal.write(visible_lines(text))
        return len(text)

    def draw(self, text: str) -> None:
        """Write a drawing of ours, whose colours stay; what it holds of strangers has passed `invisible.visible`."""
        parts = _COLOR.split(text)
        self._terminal.write("".join(part if at % 2 else visible_lines(part) for at, part in enumerate(parts)))

    def control(self, sequence: str) -> None:
        """Write a control sequence of ours: to the top of the screen, to the beginning of the line."""
        self._terminal.write(sequence)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._terminal, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Have a `Screen` in place of stdout and of stderr, each if it is a terminal."""
    out, err = sys.stdout, sys.stderr
    try:
        if out.isatty():
            sys.stdout = cast(TextIO, Screen(out))
        if err.isatty():
            sys.stderr = cast(TextIO, Screen(err))
        yield
    finally:
        sys.stdout, sys.stderr = out, err


def draw(text: str, stream: TextIO | None = None) -> None:
    """Write a text with colours of ours to `stream`, stdout without one."""
    stream = stream or sys.stdout
    if isinstance(stream, Screen):
        stream.draw(text)
    else:
        stream.write(text)


def control(sequence: str, stream: TextIO | None = None) -> None:
    """Send a control sequence of ours to `stream`, stdout without one, if it is a terminal."""
    stream = stream or sys.stdout
    if isinstance(stream, Screen):
        stream.control(sequence)
