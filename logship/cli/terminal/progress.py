"""The progress line of long work, on stderr."""

import sys
import time

from logship.cli.terminal.screen import control

UPDATE_SECONDS, UPDATE_SECONDS_IN_A_FILE = 0.5, 10.0


class Progress:
    """On a terminal one line that is updated in place, elsewhere a line every ten seconds. Not thread-safe."""

    def __init__(self, *, in_place: bool = True) -> None:
        """`in_place`: False if the same terminal shows rows, between which no line can be updated."""
        self._in_place = in_place and sys.stderr.isatty()
        self._seconds = UPDATE_SECONDS if self._in_place else UPDATE_SECONDS_IN_A_FILE
        self._start = time.monotonic()
        self._next = self._start + self._seconds

    def update(self, text: str) -> None:
        """Show the text if the last update was long enough ago."""
        if time.monotonic() >= self._next:
            self._show(text)
            self._next = time.monotonic() + self._seconds

    def end(self, text: str, remark: str = "") -> None:
        """Show the final text with the elapsed time, and a remark after it."""
        self._show(f"{text} in {time.monotonic() - self._start:.1f} s{remark}")
        if self._in_place:
            sys.stderr.write("\n")

    def _show(self, text: str) -> None:
        if self._in_place:
            control("\r\x1b[K", sys.stderr)
        sys.stderr.write(text if self._in_place else f"{text}\n")
        sys.stderr.flush()
