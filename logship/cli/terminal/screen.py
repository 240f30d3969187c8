"""Protection of the terminal: all output of a command to stdout and stderr passes through `Screen`.

Events, names and addresses contain text of strangers. A control character in such text never reaches a terminal, whichever
command prints it. Pipes and files get the text unchanged."""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, Final, TextIO, cast

from logship.event.invisible import visible_lines

# The colours of `style.paint`.
_COLOR: Final = re.compile(r"(\x1b\[[0-9;]{0,24}m)")


class Screen:
    """The text stream of a terminal. It shows control characters as text: \\x1b, \\u202e."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal

    def write(self, text: str) -> int:
        """Write `text`; line ends and tabs are the only control characters that are kept."""
        self._terminal.write(visible_lines(text))
        return len(text)

    def draw(self, text: str) -> None:
        """Write our own drawing with its colours. Text of strangers in it must have passed `invisible.visible`."""
        parts = _COLOR.split(text)
        self._terminal.write("".join(part if at % 2 else visible_lines(part) for at, part in enumerate(parts)))

    def control(self, sequence: str) -> None:
        """Write our own control sequence, such as one that moves the cursor."""
        self._terminal.write(sequence)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._terminal, name)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Replace stdout and stderr by a `Screen` where they are terminals."""
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
    """Write a text with our own colours to `stream`, by default stdout."""
    stream = stream or sys.stdout
    if isinstance(stream, Screen):
        stream.draw(text)
    else:
        stream.write(text)


def control(sequence: str, stream: TextIO | None = None) -> None:
    """Send our own control sequence to `stream`, by default stdout, if it is a terminal."""
    stream = stream or sys.stdout
    if isinstance(stream, Screen):
        stream.control(sequence)
