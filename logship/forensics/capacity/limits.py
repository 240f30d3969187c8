"""How many requests a second workers can carry at a latency, how many workers a peak needs, and what limits them."""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, log

from logship.forensics.capacity.cost import CPU_TIME, EVENT_LOOP, Cost
from logship.forensics.capacity.estimate import Confidence, Estimate, unknown
from logship.forensics.capacity.history import History, rate_text
from logship.search.units import duration, plural

NO_VITALS = "heartbeats have no CPU time (older workers)"
# p95 of an exponential distribution over its mean.
TAIL = log(20)
# In traffic below this share of the maximum, a request used up to 2.5 times its CPU time at the maximum
# (benchmarks/bench_capacity.py): caches are cold, and the clock of an idle core is lower.
NEAR = 0.5
# An estimate with a larger error is called uncertain.
SURE = 0.1
# The event loop of an application that does not block it is occupied for about its CPU time.
BLOCKED = 1.5


def limiting(costs: Sequence[Cost]) -> Cost | None:
    """Return the cost whose resource is used up first.

    The event loop is not counted if it is occupied for about the CPU time of a request, which is then measured better."""
    cpu = next((cost.seconds for cost in costs if cost.resource == CPU_TIME), 0.0)
    limits = [cost for cost in costs if cost.resource != EVENT_LOOP or cost.seconds > BLOCKED * cpu]
    return max(limits, key=lambda cost: cost.seconds / cost.limit, default=None)


def on_cores(costs: Sequence[Cost], workers: int, cores: float | None) -> list[Cost]:
    """Return the costs with the CPU time that a worker has in a second if `workers` share `cores`; unchanged for None."""
    if cores is None or not workers or cores >= workers:
        return list(costs)
    return [replace(cost, limit=cores / workers) if cost.resource == CPU_TIME else cost for cost in costs]


def limit_estimate(costs: Sequence[Cost], waiting: int) -> Estimate:
    """Return what is used up first; its value is how many requests a second it allows for each worker."""
    cost = limiting(costs)
    if cost is None:
        return unknown("limited by", "requests/s per worker", f"{NO_VITALS}, or fewer than 100 requests")
    value = cost.limit / cost.seconds
    queue = f"; up to {plural(waiting, 'connection')} waited to be accepted" if waiting else ""
    blocked = _blocked(costs) if cost.resource == EVENT_LOOP else ""
    derived = (
        f"{cost.limit:.3g} s of {cost.resource} a second / {duration(cost.seconds * 1e9)} per request{blocked}{queue}"
    )
    text = f"{cost.resource}: {rate_text(value)} per worker"
    return Estimate("limited by", value, "requests/s per worker", text, derived, _sure(cost))


def _blocked(costs: Sequence[Cost]) -> str:
    """What it means if the event loop is occupied for much longer than the CPU."""
    seconds = {cost.resource: cost.seconds for cost in costs}
    times = seconds.get("event loop", 0.0) / seconds["CPU"] if seconds.get("CPU") else 0.0
    return f", {times:.1f} times its CPU time: calls block the event loop" if times else ""


def most_rate(history: History, workers: int, cost: Cost | None, latency_ns: int) -> Estimate:
    """Return how many requests a second `workers` carry with a p95 of at most `latency_ns`.

    The time of a request is what it waits for others (not changed by load) and what it uses of the limiting resource, S. At
    a utilization u the latter becomes S / (1 - u) on average, with an exponential tail (M/M/1 with processor sharing)."""
    if cost is None or not workers:
        return carried(history, latency_ns)
    name, unit = "maximum rate", "requests/s"
    usual_ns = _p95(history)
    used_ns = cost.seconds / cost.limit * 1e9
    room_ns = latency_ns - max(usual_ns - used_ns, 0.0)
    load = 1 - TAIL * used_ns / room_ns if room_ns > 0 else 0.0
    if load <= 0:
        derived = f"p95 is {duration(usual_ns)} at the present rate; it is above {duration(latency_ns)} at any rate"
        return Estimate(name, 0.0, unit, f"none at {duration(latency_ns)}", derived, _sure(cost))
    value = workers * load * cost.limit / cost.seconds
    spread = 2 * cost.error
    derived = (
        f"{plural(workers, 'worker')} x {rate_text(cost.limit / cost.seconds)} x utilization {load:.0%}, at which p95 reaches "
        f"{duration(latency_ns)}; {_assumed(cost)} ({cost.method})"
    )
    best = carried(history, latency_ns)
    if best.value is not None and best.value > value:
        more = (
            f"rate of the busiest hour; the model gives only {rate_text(value)} (did the workers wait for a CPU core?)"
        )
        return replace(best, derived=more)
    # Few samples may call too much of the used time idle: without any idle time, the rate is lower.
    least = value * min(1.0, cost.seconds / (cost.most_seconds or cost.seconds))
    low, high = min(value * (1 - min(spread, 1)), least), value * (1 + spread)
    return Estimate(name, value, unit, rate_text(value), derived, _sure(cost), low, high)


def as_bound(most: Estimate, peak_rate: float) -> Estimate:
    """Return the maximum rate as a lower bound if no traffic came near it."""
    if not most.value or peak_rate >= NEAR * most.value or most.text.startswith("at least"):
        return most
    share = f"the peak was {peak_rate / most.value:.0%} of it, and a request uses less CPU time where workers are busier"
    return replace(most, text=f"at least {most.text}", derived=f"{most.derived}; {share}", confidence="uncertain")


def _assumed(cost: Cost) -> str:
    """What must be true for the maximum rate."""
    if cost.resource == CPU_TIME and cost.limit < 1:
        return f"each worker has {cost.limit:.2f} of a CPU core, which other programs do not use, and an even share"
    return "if each worker has a CPU core and an even share"


def carried(history: History, latency_ns: int) -> Estimate:
    """Return the highest rate of an hour whose p95 was within the latency, which is a lower bound of what is possible."""
    kept = {hour.start_ns for hour in history.hours if hour.p95 <= latency_ns}
    rates = [rate for start_ns, rate in history.rates() if start_ns in kept]
    if not rates:
        return unknown(
            "maximum rate", "requests/s", f"{NO_VITALS}, and no hour had a p95 within {duration(latency_ns)}"
        )
    derived = f"{NO_VITALS}: derived from durations only, the busiest hour with a p95 within {duration(latency_ns)}"
    return Estimate(
        "maximum rate",
        max(rates),
        "requests/s",
        f"at least {rate_text(max(rates))}",
        derived,
        "uncertain",
        low=max(rates),
    )


def workers_needed(peak: float, history: History, cost: Cost | None, target: float) -> Estimate:
    """Return the number of workers that carry `peak` requests a second at a utilization of `target`."""
    if cost is None:
        value = max(1, ceil(peak * history.mean_ns / 1e9 / target))
        derived = (
            f"{NO_VITALS}: derived from durations only, peak {rate_text(peak)} x mean duration {duration(history.mean_ns)} / "
            f"{target:.0%}, as if a request kept its worker busy while it runs"
        )
        return Estimate("workers needed", value, "workers", f"at most {value}", derived, "uncertain", high=value)
    value = max(1, ceil(peak * cost.seconds / cost.limit / target))
    derived = f"peak {rate_text(peak)} x {duration(cost.seconds * 1e9)} of {cost.resource} / {target:.0%}"
    return Estimate("workers needed", value, "workers", str(value), derived, _sure(cost))


def utilization(peak: float, workers: int, cost: Cost | None) -> Estimate:
    """Return the share of the limiting resource that the workers use at the peak."""
    if cost is None or not workers:
        return unknown("utilization at peak", "%", NO_VITALS if workers else "no worker is alive")
    value = 100 * peak * cost.seconds / cost.limit / workers
    derived = f"{cost.resource}: peak {rate_text(peak)} x {duration(cost.seconds * 1e9)} / {plural(workers, 'worker')}"
    return Estimate("utilization at peak", value, "%", f"{value:.1f} %", derived, _sure(cost))


def concurrency(peak: float, history: History) -> Estimate:
    """Return the number of requests that run at the same time at the peak: rate times mean duration (Little 1961)."""
    value = peak * history.mean_ns / 1e9
    derived = f"Little's law: peak {rate_text(peak)} x mean duration {duration(history.mean_ns)}"
    return Estimate("running at peak", value, "requests", f"{value:.3g} requests", derived, "modelled")


def _p95(history: History) -> float:
    """The p95 of the hours, weighted by their requests."""
    return sum(hour.p95 * hour.count for hour in history.hours) / max(history.requests, 1)


def _sure(cost: Cost) -> Confidence:
    return "modelled" if cost.error <= SURE else "uncertain"
