"""What a request costs a worker: CPU time, time of the event loop, and time of a thread, from heartbeats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from logship.search import kql
from logship.search.query import Query, Source, Stat
from logship.search.views import BEATS, DURATION, LIFE, SERVED

LEAST_EVERY_NS = 5 * 10**9
LEAST_BEATS = 3
MOST_BUCKETS = 200
# With fewer samples, or rates that hardly vary, a line has no reliable intercept.
LEAST_SAMPLES, LEAST_VARIATION = 6, 0.3
LEAST_REQUESTS = 100
CPU_TIME, EVENT_LOOP = "CPU", "event loop"
CPU, LOOP = "logship.process.cpu_ns", "logship.loop.utilization"
ENDED = "logship.requests.ended"
POOL_BUSY, POOL_SIZE = "logship.thread_pool.busy", "logship.thread_pool.size"


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of one resource per request. `error`: its relative standard error; `method`: how it was derived.

    `limit`: how many such seconds a worker has in a second. `most_seconds`: with all time that idle workers used."""

    resource: str
    seconds: float
    error: float
    method: str
    limit: float = 1.0
    most_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CostSample:
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
    usual = max(stat.count for stat in cpu)
    # 45 s have four or five heartbeats of 10 s.
    full = [stat.count for stat in cpu if stat.count >= usual - 1]
    ended = {_place(stat): stat for stat in source.stats(beats, ENDED, LIFE, every_ns)}
    counts = {_place(stat): stat.count for stat in source.stats(served, DURATION, LIFE, every_ns)}
    buckets = _Buckets(every_ns, usual, every_ns / 1e9 * len(full) / sum(full), ended, counts)
    known = [cost_of(CPU_TIME, buckets.counted(cpu))]
    known.append(cost_of(EVENT_LOOP, buckets.shares(source.stats(beats, LOOP, LIFE, every_ns))))
    busy = source.stats(beats, POOL_BUSY, LIFE, every_ns)
    size = max((stat.max for stat in source.stats(beats, POOL_SIZE, LIFE)), default=0.0)
    if size and any(stat.max for stat in busy):
        known.append(cost_of("thread pool", buckets.shares(busy), size))
    return [cost for cost in known if cost is not None]


def cost_of(resource: str, samples: Sequence[CostSample], limit: float = 1.0) -> Cost | None:
    """Return the cost per request; None for too few requests, or if nothing was used.

    Used time = idle time + cost * requests: least squares where the rate varies, because an idle worker also uses some;
    otherwise used time divided by requests, which is too high by the idle part."""
    requests, used = sum(sample.requests for sample in samples), sum(sample.used_seconds for sample in samples)
    if requests < LEAST_REQUESTS or used <= 0:
        return None
    line, ratio = _line(samples), used / requests
    if line is not None:
        return Cost(resource, line[0], line[1], f"least squares over {len(samples)} samples from heartbeats", limit, ratio)
    return Cost(resource, ratio, _scatter(samples, ratio), f"time used / {requests:,} requests", limit, ratio)


def _line(samples: Sequence[CostSample]) -> tuple[float, float] | None:
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


def _scatter(samples: Sequence[CostSample], ratio: float) -> float:
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


def _place(stat: Stat) -> tuple[str, int]:
    return stat.key, stat.start_ns


@dataclass(frozen=True, slots=True)
class _Buckets:
    """Makes samples of buckets that have about as many heartbeats as is usual: a run did not begin or end in them.

    `ended`: the counter of requests in the heartbeats; `served`: logged requests, for heartbeats without it."""

    every_ns: int
    usual: int
    interval_seconds: float
    ended: Mapping[tuple[str, int], Stat]
    served: Mapping[tuple[str, int], int]

    def counted(self, cpu: Sequence[Stat]) -> list[CostSample]:
        """Of a counter: n heartbeats have n - 1 intervals between them, in which requests and time are compared."""
        return [
            CostSample(self._seconds(stat), self._requests(stat), (stat.max - stat.min) / 1e9)
            for stat in cpu
            if stat.count > 1 and stat.count >= self.usual - 1
        ]

    def shares(self, stats: Sequence[Stat]) -> list[CostSample]:
        """Of a share of time, or a number of threads: its mean over the heartbeats of the bucket."""
        return [
            CostSample(self._seconds(stat), self._requests(stat), stat.sum / stat.count * self._seconds(stat))
            for stat in stats
            if stat.count > 1 and stat.count >= self.usual - 1
        ]

    def _seconds(self, stat: Stat) -> float:
        return self.interval_seconds * (stat.count - 1)

    def _requests(self, stat: Stat) -> int:
        ended = self.ended.get(_place(stat))
        if ended is not None and ended.count == stat.count:
            return round(ended.max - ended.min)
        return round(self.served.get(_place(stat), 0) * self._seconds(stat) / (self.every_ns / 1e9))
