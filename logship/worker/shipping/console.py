"""Pretty lines of this worker's events on a terminal, beside the agent."""

import contextlib
from functools import partial

from logship.worker.shipping.bundle import Feed
from logship.worker.shipping.line_writer import LineWriter
from logship.worker.shipping.render import lines, pretty_line

INTERVAL_SECONDS = 0.2
STDERR = 2


class Console:
    """A task of the shipping thread. Lines that the terminal does not take at once are skipped."""

    def __init__(self, feed: Feed, color: bool) -> None:
        """OSError if stderr is closed."""
        self._feed = feed
        self._writer = LineWriter(STDERR)
        self._render = partial(pretty_line, color=color)

    def tick(self, now: float) -> float:
        with contextlib.suppress(OSError):
            while (bundle := self._feed.next()) is not None:
                rest = memoryview(lines(bundle, self._render))
                while rest and (written := self._writer.write(rest)):
                    rest = rest[written:]
        return INTERVAL_SECONDS
