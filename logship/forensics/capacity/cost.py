"""What a request costs a worker: CPU time, time of the event loop, and time of a thread, from heartbeats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from logship.search import kql
from logship.search.query import Query, Source, Stat
from logship.search.views import BEATS, DURATION, LIFE, SERVED

LEAST_EVERY_NS = 10 * 10**9
LEAST_BEATS = 3
MOST_BUCKETS = 200
# With fewer samples, or rates that hardly vary, a line has no reliable intercept.
LEAST_SAMPLES, LEAST_VARIATION = 10, 0.3
LEAST_REQUESTS = 100
CPU, LOOP = "logship.process.cpu_ns", "logship.loop.utilization"
POOL_BUSY, POOL_SIZE = "logship.thread_pool.busy", "logship.thread_pool.size"


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one resource per request. `error`: its relative standard error; `method`: how it was derived.

    `limit`: how many such seconds a worker has in a second."""

    resource: str
    seconds: float
    error: float
    method: str
    limit: float = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a worker in one bucket of time."""

    seconds: float
    requests: int
    used_seconds: float


def costs(source: Source, query: Query) -> list[Cost]:
    """Return the costs from heartbeats of `query`, whose times must be set; [] if heartbeats lack these numbers."""
    assert query.since_ns is not None
    assert query.until_ns is not None
    beats, served = query.narrowed(kql.parse(BEATS)), query.narrowed(kql.parse(SERVED))
    every_ns, cpu = _in_buckets(source, beats)
    if not cpu:
        return []
    requests = _by_bucket(source.stats(served, DURATION, LIFE, every_ns))
    usual = max(stat.count for stat in cpu)
    found = [cost_of("CPU", _cpu_samples(cpu, requests, every_ns, usual))]
    found.append(
        cost_of("event loop", _share_samples(source.stats(beats, LOOP, LIFE, every_ns), requests, every_ns, usual))
    )
    busy = source.stats(beats, POOL_BUSY, LIFE, every_ns)
    size = max((stat.max for stat in source.stats(beats, POOL_SIZE, LIFE)), default=0.0)
    if size and any(stat.max for stat in busy):
        found.append(cost_of("thread pool", _share_samples(busy, requests, every_ns, usual), size))
    return [cost for cost in found if cost is not None]


def cost_of(resource: str, samples: Sequence[Sample], limit: float = 1.0) -> Cost | None:
    """Return the cost per request; None for too few requests, or if nothing was used.

    Used time = idle time + cost * requests: least squares where the rate varies, because an idle worker also uses some;
    otherwise used time divided by requests, which is too high by the idle part."""
    requests, used = sum(sample.requests for sample in samples), sum(sample.used_seconds for sample in samples)
    if requests < LEAST_REQUESTS or used <= 0:
        return None
    line = _line(samples)
    if line is not None:
        return Cost(resource, line[0], line[1], f"least squares over {len(samples)} samples from heartbeats", limit)
    ratio = used / requests
    return Cost(resource, ratio, _scatter(samples, ratio), f"time used / {requests:,} requests", limit)


def _line(samples: Sequence[Sample]) -> tuple[float, float] | None:
    """The slope of used time over requests, both per second, with its relative error; None if it is not reliable."""
    rates = [sample.requests / sample.seconds for sample in samples]
    used = [sample.used_seconds / sample.seconds for sample in samples]
    if len(samples) < LEAST_SAMPLES:
        return None
    mean, mean_used = sum(rates) / len(rates), sum(used) / len(used)
    spread = sum((rate - mean) ** 2 for rate in rates)
    if not mean or sqrt(spread / len(rates)) < LEAST_VARIATION * mean:
        return None
    slope = sum((rate - mean) * (part - mean_used) for rate, part in zip(rates, used, strict=True)) / spread
    idle = mean_used - slope * mean
    left = sum((part - idle - slope * rate) ** 2 for rate, part in zip(rates, used, strict=True))
    if slope <= 0 or idle < 0:
        return None
    return slope, sqrt(left / (len(samples) - 2) / spread) / slope


def _scatter(samples: Sequence[Sample], ratio: float) -> float:
    """The relative standard error of a ratio of sums, from the residuals of its samples."""
    if len(samples) < 2:
        return 0.2
    left = sum((sample.used_seconds - ratio * sample.requests) ** 2 for sample in samples)
    whole = sum(sample.used_seconds for sample in samples)
    return sqrt(left * len(samples) / (len(samples) - 1)) / whole


def _in_buckets(source: Source, beats: Query) -> tuple[int, list[Stat]]:
    """The CPU time by run in buckets that have at least three heartbeats, and the width of the buckets."""
    span_ns = (beats.until_ns or 0) - (beats.since_ns or 0)
    every_ns = max(LEAST_EVERY_NS, -(-span_ns // MOST_BUCKETS // 10**9) * 10**9)
    while True:
        cpu = source.stats(beats, CPU, LIFE, every_ns)
        if not cpu or max(stat.count for stat in cpu) >= LEAST_BEATS or 4 * every_ns > span_ns:
            return every_ns, cpu
        every_ns *= 3


def _by_bucket(stats: Sequence[Stat]) -> dict[tuple[str, int], int]:
    return {(stat.key, stat.start_ns): stat.count for stat in stats}


def _cpu_samples(
    cpu: Sequence[Stat], requests: Mapping[tuple[str, int], int], every_ns: int, usual: int
) -> list[Sample]:
    """CPU time is a counter: between n heartbeats of a bucket are n - 1 intervals, which stand for the whole bucket.

    Buckets in which a run began or ended have fewer heartbeats and are left out."""
    return [
        Sample(every_ns / 1e9, requests.get((stat.key, stat.start_ns), 0), (stat.max - stat.min) / 1e9 * usual / (stat.count - 1))
        for stat in cpu
        if stat.count > 1 and stat.count >= usual - 1
    ]  # fmt: skip


def _share_samples(
    stats: Sequence[Stat], requests: Mapping[tuple[str, int], int], every_ns: int, usual: int
) -> list[Sample]:
    """Heartbeats with a share of time, or a number of threads: its mean over the bucket times the length of the bucket."""
    seconds = every_ns / 1e9
    return [
        Sample(seconds, requests.get((stat.key, stat.start_ns), 0), stat.sum / stat.count * seconds)
        for stat in stats
        if stat.count >= usual - 1
    ]
