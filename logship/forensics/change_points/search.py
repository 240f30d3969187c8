"""Search a series for its change points: divide it where that explains most, while the gain is not chance.

Each part of the series is left alone or divided in one of three ways: in two lines; by an episode, a step up and back, which
two lines hardly explain; or in stairs, up to `MOST_STAIRS` levels, which hide each other from the first two. The division
that chance makes least likely is taken if that is below `MOST_CHANCE`, and its parts are searched. Going from the whole to
the parts, with the correlation of residuals taken into account, leaves curves, seasons and random walks alone: after one
division their residuals are still correlated."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log

from logship.forensics.change_points.fits import Fit, Shape, parts_of

MOST_CHANCE = 0.01
# A shorter part has too few buckets for a level.
LEAST_PART = 3
# Two episodes.
MOST_STAIRS = 4
# Twice the logarithm of the likelihood ratio within which 95 % of the true places are (chi-square, one degree of freedom).
PLACE_95 = 3.84
# Episodes are tried at lengths that grow by this factor, at places a part of their length apart; the best one is then moved.
LENGTH_STEP, PLACE_STEP = 1.5, 4


@dataclass(frozen=True, slots=True)
class Division:
    """Positions where parts of a series begin, and the logarithm of the probability that chance makes one as good."""

    cuts: tuple[int, ...]
    log_chance: float


@dataclass(frozen=True, slots=True)
class Cut:
    """A change at position `at`, probably in `earliest` to `latest`. `since` and `until`: the changes before and after."""

    since: int
    earliest: int
    at: int
    latest: int
    until: int
    chance: float


def cuts(fit: Fit) -> list[Cut]:
    """Return the change points of the series, oldest first, each moved to its best place between its neighbours.

    One that is not significant there, because its division served to explain others, is dropped."""
    edges = [0, *sorted(_divide(fit)), len(fit.buckets)]
    while True:
        for number in range(1, len(edges) - 1):
            edges[number] = _best_cut(fit, edges[number - 1], edges[number + 1])[0]
        chances = [
            _log_chance(fit, (since, until), at) for since, at, until in zip(edges, edges[1:], edges[2:], strict=False)
        ]
        worst = max(range(len(chances)), key=chances.__getitem__, default=None)
        if worst is None or chances[worst] < log(MOST_CHANCE):
            break
        del edges[worst + 1]
    return [_cut(fit, (edges[at], edges[at + 2]), edges[at + 1], exp(chance)) for at, chance in enumerate(chances)]


def _log_chance(fit: Fit, outer: tuple[int, int], at: int) -> float:
    since, until = outer
    lines = _judged(fit, outer, "parts", (at,), fit.cost(since, at) + fit.cost(at, until))
    stairs = _judged(fit, outer, "stairs", (at,), fit.level_cost(since, at) + fit.level_cost(at, until))
    return min(lines.log_chance, stairs.log_chance)


def _divide(fit: Fit) -> Iterator[int]:
    parts = [(0, len(fit.buckets))]
    while parts:
        outer = parts.pop()
        division = _division(fit, *outer)
        if division is not None:
            yield from division.cuts
            parts += parts_of(outer, division.cuts)


def _division(fit: Fit, start: int, end: int) -> Division | None:
    """Return the best significant division. Stairs have to be necessary: with more places they always fit better."""
    for divisions in (_simple(fit, start, end), _stairs(fit, start, end)):
        best = min(divisions, key=lambda division: division.log_chance, default=None)
        if best is not None and best.log_chance < log(MOST_CHANCE):
            return best
    return None


def _simple(fit: Fit, start: int, end: int) -> Iterator[Division]:
    outer = (start, end)
    if end - start >= 2 * LEAST_PART:
        at, cost = _best_cut(fit, start, end)
        yield _judged(fit, outer, "parts", (at,), cost)
    if end - start >= 3 * LEAST_PART:
        inner, cost = _best_episode(fit, start, end)
        yield _judged(fit, outer, "episode", inner, cost)


def _stairs(fit: Fit, start: int, end: int) -> Iterator[Division]:
    if end - start >= 3 * LEAST_PART:
        for places, cost in _levels(fit, start, end):
            if _flat(fit, (start, end), places, cost):
                yield _judged(fit, (start, end), "stairs", places, cost)


def _flat(fit: Fit, outer: tuple[int, int], places: tuple[int, ...], cost: float) -> bool:
    """Return whether lines with slopes do not fit the parts better than levels: else it is a curve."""
    gained = fit.gain(outer, sum(fit.cost(*part) for part in parts_of(outer, places))) - fit.gain(outer, cost)
    return gained * fit.weight(outer, "parts", places) / 2 < (len(places) + 1) - log(MOST_CHANCE)


def _judged(fit: Fit, outer: tuple[int, int], shape: Shape, places: tuple[int, ...], cost: float) -> Division:
    # Bonferroni: the best of n places, or of n^k for k places. The tail is that of chi-square with two degrees of freedom.
    gain = fit.gain(outer, cost)
    if gain > 0:
        gain *= fit.weight(outer, shape, places)
    return Division(places, len(places) * log(len(fit.buckets)) - gain / 2)


def _best_cut(fit: Fit, start: int, end: int) -> tuple[int, float]:
    cost, at = min((fit.cost(start, at) + fit.cost(at, end), at) for at in _places(start, end))
    return at, cost


def _best_episode(fit: Fit, start: int, end: int) -> tuple[tuple[int, int], float]:
    outer = (start, end)
    cost, inner = min((fit.episode_cost(outer, inner), inner) for inner in _coarse(start, end))
    while True:
        moved, better = min((fit.episode_cost(outer, near), near) for near in _near(inner, start, end))
        if moved >= cost:
            return inner, cost
        cost, inner = moved, better


def _levels(fit: Fit, start: int, end: int) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield two to `MOST_STAIRS` places and the cost of the levels between them; each time one more place, the best one."""
    places: list[int] = []
    cost = fit.level_cost(start, end)
    steps = [_best_step(fit, start, end)]
    while len(places) < MOST_STAIRS and steps:
        gained, at, first, last = step = max(steps)
        steps.remove(step)
        steps += [_best_step(fit, *part) for part in ((first, at), (at, last)) if part[1] - part[0] >= 2 * LEAST_PART]
        places.append(at)
        cost -= gained
        if len(places) > 1:
            yield tuple(sorted(places)), cost


def _best_step(fit: Fit, start: int, end: int) -> tuple[float, int, int, int]:
    cost, at = min((fit.level_cost(start, at) + fit.level_cost(at, end), at) for at in _places(start, end))
    return fit.level_cost(start, end) - cost, at, start, end


def _places(start: int, end: int) -> range:
    return range(start + LEAST_PART, end - LEAST_PART + 1)


def _coarse(start: int, end: int) -> Iterator[tuple[int, int]]:
    length = LEAST_PART
    while length <= max((end - start) // 2, LEAST_PART):
        for first in range(start + LEAST_PART, end - LEAST_PART - length + 1, max(1, length // PLACE_STEP)):
            yield first, first + length
        length = max(int(length * LENGTH_STEP), length + 1)


def _near(inner: tuple[int, int], start: int, end: int) -> Iterator[tuple[int, int]]:
    for step in (-2, -1, 0, 1, 2):
        for first, last in (
            (inner[0] + step, inner[1]),
            (inner[0], inner[1] + step),
            (inner[0] + step, inner[1] + step),
        ):
            if start + LEAST_PART <= first <= last - LEAST_PART and last <= end - LEAST_PART:
                yield first, last


def _cut(fit: Fit, outer: tuple[int, int], at: int, chance: float) -> Cut:
    since, until = outer
    weight = fit.weight(outer, "parts", (at,))

    def within(place: int) -> bool:
        lost = fit.gain(outer, fit.cost(since, at) + fit.cost(at, until)) - fit.gain(
            outer, fit.cost(since, place) + fit.cost(place, until)
        )
        return lost * weight <= PLACE_95

    earliest = latest = at
    while earliest > since + LEAST_PART and within(earliest - 1):
        earliest -= 1
    while latest < until - LEAST_PART and within(latest + 1):
        latest += 1
    return Cut(since, earliest, at, latest, until, chance)
