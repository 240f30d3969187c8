"""The part of a window in which a ratio was higher than outside of it: where it began, where it ended, and how certain that is.

The segment with the greatest likelihood ratio is searched (Kulldorff 1997, a scan statistic, in one dimension). The usual ratio
is that of all buckets outside of it, also of those before the window. Its G is divided by the dispersion of the buckets
outside: failures that come in bursts, before as now, are not an incident."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from logship.forensics.compare.combinations import Counts
from logship.forensics.compare.significance import g_test

ROUNDS = 4
# Every place and length of a segment is a test, and there are hundreds of series: chance alone reaches about 30.
LEAST_G = 34.0
# A time of the baseline with this part of the hits, and of their ratio, is similar.
SIMILAR = 0.5
# The dispersion is measured over this many buckets together: single ones hold too few events.
TOGETHER = 6


@dataclass(frozen=True, slots=True)
class RequestSegment:
    """Buckets from `low` to `high` (not included); `counts`: outside, and inside. `g`: corrected for dispersion."""

    low: int
    high: int
    counts: Counts
    g: float
    hit_buckets: int

    def overlaps(self, other: "RequestSegment") -> bool:
        """Whether the two share at least half of the shorter one."""
        shared = min(self.high, other.high) - max(self.low, other.low)
        return 2 * shared >= min(self.high - self.low, other.high - other.low)


def segment(hits: Sequence[float], events: Sequence[float], first: int) -> RequestSegment | None:
    """Return the segment from bucket `first` on in which the ratio of hits is raised; None if none is significant."""
    if sum(hits[first:]) < 3:
        return None
    # The hits of a window that ends now are read after its events, and may be more.
    hits = [min(hit, total) for hit, total in zip(hits, events, strict=True)]
    all_hits, all_events = sum(hits), sum(events)
    usual = (all_hits + 0.5) / (all_events + 1)
    raised, found = min(0.9, max(3 * usual, usual + 0.02)), None
    for _ in range(ROUNDS):
        low, high = _best(hits, events, first, usual, raised)
        if high <= low:
            return None
        inside_hits, inside_events = sum(hits[low:high]), sum(events[low:high])
        counts = Counts(all_events - inside_events, all_hits - inside_hits, inside_events, inside_hits)
        # Few buckets outside are weak evidence, even without hits: their number limits the certainty.
        usual = min(0.95, (counts.hits_before + 0.5) / (counts.events_before + 1))
        raised = min(0.99, max(counts.ratio_after, 1.2 * usual))
        if found == (low, high):
            break
        found = (low, high)
    if counts.ratio_after <= counts.ratio_before or _was_before(hits, events, first, (low, high)):
        return None
    outside_hits = [*hits[:low], *hits[high:]]
    outside_events = [*events[:low], *events[high:]]
    g = g_test(*_not_empty(counts)) / _dispersion(outside_hits, outside_events)
    return RequestSegment(low, high, counts, g, sum(1 for number in hits[low:high] if number)) if g >= LEAST_G else None


def _was_before(hits: Sequence[float], events: Sequence[float], first: int, part: tuple[int, int]) -> bool:
    """Whether a time of the same length in the baseline was similar: a job that runs every quarter of an hour."""
    length = part[1] - part[0]
    least_hits = SIMILAR * sum(hits[part[0] : part[1]])
    least_ratio = least_hits / max(sum(events[part[0] : part[1]]), 1)
    sum_hits, sum_events = sum(hits[:length]), sum(events[:length])
    for end in range(length, first + 1):
        if sum_hits >= least_hits and sum_hits >= least_ratio * sum_events:
            return True
        sum_hits += hits[end] - hits[end - length]
        sum_events += events[end] - events[end - length]
    return False


def _not_empty(counts: Counts) -> Counts:
    return counts if counts.events_before else Counts(1, 0, counts.events_after, counts.hits_after)


def _best(hits: Sequence[float], events: Sequence[float], first: int, usual: float, raised: float) -> tuple[int, int]:
    """The segment with the greatest sum of log likelihood ratios (Kadane's algorithm)."""
    of_hit, of_other = log(raised / usual), log((1 - raised) / (1 - usual))
    best = total = 0.0
    low = start = high = first
    for at in range(first, len(hits)):
        if total <= 0:
            total, start = 0.0, at
        total += hits[at] * of_hit + (events[at] - hits[at]) * of_other
        if total > best:
            best, low, high = total, start, at + 1
    return low, high


def _dispersion(hits: Sequence[float], events: Sequence[float]) -> float:
    """Variance of the hits per group of buckets, in units of that of a constant ratio; at least 1.

    Of the sums, not a mean of quotients: with few hits those are large by chance."""
    ratio = sum(hits) / max(sum(events), 1)
    sums = [(sum(hits[at : at + TOGETHER]), sum(events[at : at + TOGETHER])) for at in range(0, len(hits), TOGETHER)]
    expected = sum(ratio * count * (1 - ratio) for _, count in sums)
    return max(1.0, sum((number - ratio * count) ** 2 for number, count in sums) / expected) if expected else 1.0
