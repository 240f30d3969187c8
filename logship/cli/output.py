"""What a command says: results on stdout, everything else on stderr."""

import sys
from pathlib import Path

from logship.cli.terminal.screen import draw
from logship.cli.terminal.style import paint
from logship.errors import QuestionError
from logship.event.invisible import visible_lines

# Exit statuses, beside those of `main.py`.
NOTHING, INVALID, UNKNOWN, CHANGED = 1, 2, 4, 5


class OutputClosed(Exception):
    """The reader of stdout has closed it, as `head` does."""


def write(line: str) -> None:
    """Write one line of a drawing to stdout."""
    try:
        draw(line.rstrip() + "\n")
    except BrokenPipeError:
        raise OutputClosed from None


def say(line: str) -> None:
    """Write one line of plain text to stdout; a terminal gets no control characters."""
    try:
        sys.stdout.write(line + "\n")
    except BrokenPipeError:
        raise OutputClosed from None


def talk(sentence: str) -> None:
    """Write a message to stderr."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def write_file(path: Path, text: str) -> None:
    """Write a file that an option names. QuestionError if it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise QuestionError(f"cannot write {path}: {error.strerror}") from None


def note(sentence: str) -> None:
    """Write a remark about the result to stderr, dimmed on a terminal."""
    draw((paint(visible_lines(sentence), "dim") if sys.stderr.isatty() else sentence) + "\n", sys.stderr)
    sys.stderr.flush()
