"""Series of buckets in which change points are searched: levels, durations, counts and ratios.

A bucket without data is None (or has the total 0). It is left out; a change beside it may have begun in it."""

from collections.abc import Sequence
from math import log
from statistics import median

from logship.forensics.change_points.fits import Fit, Lines, Ratios
from logship.forensics.change_points.search import LEAST_PART

# Below, the noise of a series is not known well enough to call a difference a change.
LEAST_BUCKETS = 20
# Half the width in buckets of the window, and the distance in robust standard deviations, beyond which a value is a spike.
# A spike is limited to that distance: one slow request or one late scrape does not begin anything.
SPIKE_WINDOW, SPIKE_DISTANCE = 3, 3.0
# The median of absolute deviations of a normal distribution, in standard deviations.
MAD_OF_NORMAL = 1.4826


def levels(values: Sequence[float | None]) -> Fit | None:
    """Return a series of numbers with additive noise, such as memory; None if there are not enough of them."""
    buckets, present = _present(values)
    return Lines(without_spikes(present), present, buckets) if len(present) >= LEAST_BUCKETS else None


def durations(values: Sequence[float | None]) -> Fit | None:
    """Return a series of durations or other positive numbers whose noise is relative, such as p99 in nanoseconds."""
    buckets, present = _present(values)
    if len(present) < LEAST_BUCKETS:
        return None
    least = min((value for value in present if value > 0), default=1.0)
    return Lines(without_spikes([log(max(value, least)) for value in present]), present, buckets)


def counts(values: Sequence[float | None]) -> Fit | None:
    """Return a series of counts per bucket, such as requests. Chance alone gives them the spread of a Poisson distribution.

    Source: Anscombe 1948, the variance of 2 sqrt(n + 3/8) is 1 for any rate."""
    buckets, present = _present(values)
    if len(present) < LEAST_BUCKETS:
        return None
    return Lines(without_spikes([2 * (value + 3 / 8) ** 0.5 for value in present]), present, buckets, floor=1.0)


def ratios(parts: Sequence[float], totals: Sequence[float]) -> Fit | None:
    """Return a series of shares, such as failed requests of all requests in each bucket."""
    buckets = [number for number, total in enumerate(totals) if total > 0]
    if len(buckets) < LEAST_BUCKETS:
        return None
    seen = [totals[number] for number in buckets]
    return Ratios(without_bursts([parts[number] for number in buckets], seen), seen, buckets)


def without_spikes(values: Sequence[float]) -> list[float]:
    """Return `values` with spikes limited to `SPIKE_DISTANCE` from the median of their window. Source: the Hampel filter."""
    medians = [median(values[max(0, at - SPIKE_WINDOW) : at + SPIKE_WINDOW + 1]) for at in range(len(values))]
    away = [value - middle for value, middle in zip(values, medians, strict=True)]
    most = SPIKE_DISTANCE * MAD_OF_NORMAL * median(abs(value) for value in away)
    if most == 0:
        return [*values]
    return [middle + max(-most, min(most, value)) for middle, value in zip(medians, away, strict=True)]


def without_bursts(parts: Sequence[float], totals: Sequence[float]) -> list[float]:
    """Return `parts` without bursts that are too short for a level: the share of a bucket is at most the third largest of
    its window, or what the share of the whole series makes likely."""
    usual = sum(parts) / sum(totals)
    shares = [part / total for part, total in zip(parts, totals, strict=True)]
    limited = []
    for at, (part, total) in enumerate(zip(parts, totals, strict=True)):
        window = sorted(shares[max(0, at - SPIKE_WINDOW) : at + SPIKE_WINDOW + 1])
        likely = usual * total + SPIKE_DISTANCE * (usual * (1 - usual) * total) ** 0.5
        limited.append(min(part, max(window[-LEAST_PART] * total, likely)))
    return limited


def _present(values: Sequence[float | None]) -> tuple[list[int], list[float]]:
    pairs = [(number, value) for number, value in enumerate(values) if value is not None]
    return [number for number, _ in pairs], [value for _, value in pairs]
