"""The times of an incident: the window, what it is compared with, and the buckets in which both are counted."""

from dataclasses import dataclass, replace

from logship.forensics.incident.finding import Interval
from logship.forensics.incident.segment import RequestSegment
from logship.search.query import Query

BUCKET_NS = 10 * 10**9
BUCKETS = 360


@dataclass(frozen=True, slots=True)
class Clock:
    """`window` and `baseline` have both times. Both are counted in buckets that are `every_ns` wide."""

    window: Query
    baseline: Query
    every_ns: int

    @property
    def since_ns(self) -> int:
        return self.window.since_ns or 0

    @property
    def until_ns(self) -> int:
        return self.window.until_ns or 0

    def queries(self) -> list[Query]:
        """Return baseline and window; as one query if they follow each other, which is read once."""
        if self.baseline.until_ns == self.window.since_ns:
            return [replace(self.window, since_ns=self.baseline.since_ns)]
        return [self.baseline, self.window]

    def starts(self) -> list[int]:
        """Return the start of each bucket, of the baseline and then of the window."""
        every = self.every_ns
        of_baseline = range((self.baseline.since_ns or 0) // every * every, self.baseline.until_ns or 0, every)
        of_window = range(self.since_ns // every * every, self.until_ns, every)
        return sorted({*of_baseline, *of_window})

    def began(self, starts: list[int], part: RequestSegment) -> Interval:
        """Return the bucket in which a segment begins."""
        return starts[part.low], starts[part.low] + self.every_ns

    def ended(self, starts: list[int], part: RequestSegment) -> Interval | None:
        """Return the bucket in which a segment ends, None if it lasts until the end of the window."""
        end_ns = starts[part.high - 1] + self.every_ns
        return None if end_ns >= self.until_ns - self.every_ns else (end_ns - self.every_ns, end_ns)


def clock(window: Query, baseline: Query | None) -> Clock:
    """Return the clock of a window. Without a baseline it is the time of the same length before the window."""
    length_ns = (window.until_ns or 0) - (window.since_ns or 0)
    before = baseline or replace(window, since_ns=(window.since_ns or 0) - length_ns, until_ns=window.since_ns)
    every_ns = BUCKET_NS * max(1, -(-length_ns // (BUCKETS * BUCKET_NS)))
    return Clock(window, before, every_ns)
