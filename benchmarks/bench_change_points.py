"""Measure change points: F1 and covering on series that people annotated, steps planted in p99 and failure ratio, quiet days.

python benchmarks/bench_change_points.py --data DIR [--quick]

DIR holds JSON files {"name", "values", "annotations": {person: [position]}}, as made from the Turing change point data set
(https://github.com/alan-turing-institute/TCPD). F1 (margin 5) and covering are those of van den Burg and Williams 2020. PELT
has the squared error as its cost and the penalty 3 ln n on standardised values: ruptures' if it is installed, else ours."""

import argparse
import itertools
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import cos, exp, log, pi
from pathlib import Path
from statistics import fmean, pstdev
from time import perf_counter
from typing import TypeAlias

from machine import table

from logship.forensics.change_points.detect import Changes, change_points
from logship.forensics.change_points.episodes import episodes
from logship.forensics.change_points.series import counts, durations, levels, ratios

MARGIN = 5
Marks: TypeAlias = Mapping[str, Sequence[int]]
Values: TypeAlias = Sequence[float | None]
PLANTED, DAYS, DAY_BUCKETS = 200, 30, 8640


def ours(values: Values) -> list[int]:
    return [change.at for change in change_points(levels(values)).changes]


def nothing(values: Values) -> list[int]:
    return []


def pelt(values: Values) -> list[int]:
    """Return the change points of PELT (Killick 2012) for the squared error."""
    present = [value for value in values if value is not None]
    spread = pstdev(present) or 1.0
    standard = [(value - fmean(present)) / spread for value in present]
    penalty = 3 * log(len(present))
    try:
        import numpy
        import ruptures
    except ImportError:
        return own_pelt(standard, penalty)
    found = ruptures.Pelt("l2", min_size=2, jump=1).fit(numpy.array(standard)).predict(penalty)
    return [int(place) for place in found[:-1]]


def own_pelt(values: Sequence[float], penalty: float) -> list[int]:
    sums, squares = [0.0], [0.0]
    for value in values:
        sums.append(sums[-1] + value)
        squares.append(squares[-1] + value * value)

    def cost(start: int, end: int) -> float:
        return squares[end] - squares[start] - (sums[end] - sums[start]) ** 2 / (end - start)

    best, last, starts = [-penalty], [0], [0]
    for end in range(1, len(values) + 1):
        totals = {start: best[start] + cost(start, end) for start in starts}
        start = min(
            (start for start in starts if end - start > 1 or end == 1), key=totals.__getitem__, default=starts[0]
        )
        best.append(totals[start] + penalty)
        last.append(start)
        starts = [start for start in starts if totals[start] <= best[end]] + [end]
    places, end = [], len(values)
    while last[end]:
        end = last[end]
        places.append(end)
    return places[::-1]


def matched(truth: set[int], places: set[int]) -> int:
    """Return how many of `truth` have a separate place within the margin."""
    free, hits = set(places), 0
    for mark in sorted(truth):
        near = min(free, key=lambda place: abs(place - mark), default=None)
        if near is not None and abs(near - mark) <= MARGIN:
            free.remove(near)
            hits += 1
    return hits


def f1(marks: Marks, places: Sequence[int]) -> float:
    people = [{0, *marked} for marked in marks.values()]
    given = {0, *places}
    precision = matched(set().union(*people), given) / len(given)
    recall = fmean(matched(marked, given) / len(marked) for marked in people)
    return 2 * precision * recall / (precision + recall)


def covering(marks: Marks, places: Sequence[int], size: int) -> float:
    parts = [*parts_between(places, size)]
    return fmean(
        sum(
            (end - start) / size * max(jaccard((start, end), part) for part in parts)
            for start, end in parts_between(marked, size)
        )
        for marked in marks.values()
    )


def parts_between(places: Sequence[int], size: int) -> Iterator[tuple[int, int]]:
    edges = [0, *sorted({place for place in places if 0 < place < size}), size]
    return itertools.pairwise(edges)


def jaccard(some: tuple[int, int], other: tuple[int, int]) -> float:
    shared = max(0, min(some[1], other[1]) - max(some[0], other[0]))
    return shared / (max(some[1], other[1]) - min(some[0], other[0]))


def annotated(folder: Path) -> None:
    methods: dict[str, Callable[[Values], list[int]]] = {"ours": ours, "PELT-L2": pelt, "doing nothing": nothing}
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in methods}
    rows = []
    for path in sorted(folder.glob("*.json")):
        series = json.loads(path.read_text())
        row = [series["name"]]
        for name, method in methods.items():
            places = method(series["values"])
            score = f1(series["annotations"], places), covering(series["annotations"], places, len(series["values"]))
            scores[name].append(score)
            row.append(f"{score[0]:.3f} / {score[1]:.3f}")
        rows.append(row)
    means = {name: [fmean(column) for column in zip(*pairs, strict=True)] for name, pairs in scores.items()}
    rows.append(["mean", *(f"{mean[0]:.3f} / {mean[1]:.3f}" for mean in means.values())])
    table("Annotated series: F1 / covering", ["series", *methods], rows)


def poisson(rate: float, dice: random.Random) -> int:
    if rate > 50:
        return max(0, round(dice.gauss(rate, rate**0.5)))
    count, product = 0, dice.random()
    while product > exp(-rate):
        count, product = count + 1, product * dice.random()
    return count


def p99(requests: int, scale: float, dice: random.Random) -> float | None:
    """Return the p99 of log-normal durations around 50 ms, None without requests."""
    if not requests:
        return None
    # The k-th largest of n uniform numbers, without drawing all of them.
    left, rank = 1.0, 0
    while rank <= requests // 100:
        left *= dice.random() ** (1 / (requests - rank))
        rank += 1
    return scale * 50e6 * exp(0.6 * normal_quantile(left))


def normal_quantile(share: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(min(max(share, 1e-12), 1 - 1e-12))


def hour(kind: str, place: int, end: int, dice: random.Random) -> Changes:
    """Return the changes of an hour of 10 s buckets with a change in `place` to `end`."""
    size, rate = 360, dice.choice([40, 100, 300])
    requests = [poisson(rate, dice) for _ in range(size)]
    if kind == "p99":
        factor = dice.choice([2.5, 4, 10])
        return change_points(
            durations([p99(n, factor if place <= at < end else 1.0, dice) for at, n in enumerate(requests)])
        )
    shares = (0.004, dice.choice([0.06, 0.12, 0.5]))
    failed = [poisson(n * shares[place <= at < end], dice) for at, n in enumerate(requests)]
    return change_points(ratios([min(pair) for pair in zip(failed, requests, strict=True)], requests))


def planted() -> None:
    """Print in which part of the hours a step, and both ends of an episode, are found within a bucket."""
    rows = []
    for kind in ("p99", "failure ratio"):
        dice = random.Random(f"planted {kind}")
        for length in (None, 6, 12, 60):
            hits = ends = extra = covered = 0
            for _ in range(PLANTED):
                place = dice.randrange(40, 240)
                end = place + length if length else 10_000
                changes = hour(kind, place, end, dice)
                wanted = [place] + [end] * bool(length)
                near = [any(abs(step.at - mark) <= 1 for step in changes.steps) for mark in wanted]
                assert changes.enough
                hits += near[0]
                ends += near[-1]
                extra += max(0, len(changes.changes) - len(wanted))
                began = [step for step in changes.steps if abs(step.at - place) <= 10]
                covered += any(step.earliest <= place <= step.latest for step in began)
                if length and all(near):
                    assert episodes(changes.steps)
            rows.append([
                kind, f"{length} buckets" if length else "to the end", f"{hits / PLANTED:.1%}", f"{ends / PLANTED:.1%}",
                f"{covered / PLANTED:.1%}", f"{extra / PLANTED:.2f}",
            ])  # fmt: skip
    table(
        "Planted changes",
        ["series", "for", "begin within 1", "end within 1", "in the interval", "others per hour"],
        rows,
    )


def quiet_day(kind: str, dice: random.Random, buckets: int) -> Changes:
    """Return the changes of a day without an incident: traffic follows the sun, bursts and slow requests happen."""
    load = [1 - 0.8 * cos(2 * pi * at / buckets) for at in range(buckets)]
    scale = DAY_BUCKETS / buckets
    requests = [poisson(100 * scale * part, dice) for part in load]
    if kind == "requests":
        return change_points(counts([*map(float, requests)]))
    if kind == "failure ratio":
        failed = [min(n, poisson(0.004 * n, dice) + (20 if dice.random() < 0.0005 else 0)) for n in requests]
        return change_points(ratios(failed, requests))
    if kind == "p99":
        return change_points(durations([p99(n, 10 if dice.random() < 0.001 else 1, dice) for n in requests]))
    lag, values = 0.0, []
    for part in load:
        lag = 0.8 * lag + dice.gauss(0, 1)
        values.append(2e6 * part * exp(0.3 * lag))
    return change_points(durations(values))


def quiet() -> None:
    """Print the alarms of quiet days in buckets of 10 s and of 1 min, per series."""
    rows = []
    for seconds in (10, 60):
        for kind in ("requests", "failure ratio", "p99", "loop lag"):
            dice = random.Random(f"quiet {kind} {seconds}")
            start = perf_counter()
            found = [quiet_day(kind, dice, 86400 // seconds) for _ in range(DAYS)]
            took = (perf_counter() - start) / DAYS
            steps = [len(changes.steps) for changes in found]
            trends = [len(changes.changes) - len(changes.steps) for changes in found]
            numbers = (max(steps), sum(steps), max(trends), sum(trends))
            rows.append([kind, f"{seconds} s", *map(str, numbers), f"{took:.2f} s"])
    columns = ["series", "bucket", "most steps a day", "steps", "most trends a day", "trends", "time a day"]
    table(f"{DAYS} quiet days", columns, rows)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, help="folder with annotated series")
    arguments.add_argument("--quick", action="store_true", help="a tenth of the planted hours and days")
    options = arguments.parse_args()
    if options.quick:
        PLANTED, DAYS = PLANTED // 10, DAYS // 10
    if options.data:
        annotated(options.data)
    planted()
    quiet()
