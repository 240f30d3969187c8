"""Which combinations of field values explain that the ratio of hits rose: of failed requests, or of slow ones.

Difference in differences: a combination is compared with its own baseline, and with the other events of the same time. What is
the same in both windows, or rose everywhere, is not an explanation. The score of a combination is

    sqrt(G before/after + G inside/outside) * explained^2 * (added - traffic)

where `explained` is its share of the hits beyond its own earlier ratio, `added` its share of the hits beyond its earlier number,
and `traffic` its share of the events: a combination that has no more hits than events scores nothing. The root of G is about a
standard score, so the size of the effect counts for more than the number of events. Measured on the incidents of RobustSpot
by benchmarks/bench_compare.py."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from logship.forensics.compare.combinations import Counts, Values, combined, total
from logship.forensics.compare.significance import adjusted, g_test, p_value

# A combination with less than this share of the hits after explains little. The rarest cause in RobustSpot has 7 %.
LEAST_SHARE = 0.01
LEAST_HITS = 3
SIGNIFICANT = 0.01
# A reason is a consequence of better ones if they explain more than half of its additional hits.
LEAST_REST = 0.5


@dataclass(frozen=True, slots=True)
class Reason:
    """A combination of values and its counts. `explained`: its share of all additional hits, 0 to 1; `p`: the probability that
    its ratio rose by chance, corrected for the number of combinations; `score`: its rank is by this."""

    fields: dict[str, str]
    counts: Counts
    explained: float
    p: float
    score: float


def explain(
    names: Sequence[str], cells: Mapping[tuple[str, ...], Counts], limit: int = 10, significant: float = SIGNIFICANT
) -> list[Reason]:
    """Return the combinations of up to three values that explain why the ratio of hits rose, the best first.

    `cells`: counts by one value per name, "" where an event has none."""
    whole = total(cells.values())
    candidates = combined(names, cells, max(LEAST_HITS, LEAST_SHARE * whole.hits_after))
    reasons = [_reason(values, counts, whole) for values, counts in candidates.items() if counts.excess > 0]
    corrected = adjusted([reason.p for reason in reasons], len(candidates))
    reasons = [
        replace(reason, p=p)
        for reason, p in zip(reasons, corrected, strict=True)
        if p <= significant and reason.score > 0
    ]
    # Of two that have the same events, the one with more values describes them more fully.
    reasons.sort(key=lambda reason: (-reason.score, -len(reason.fields), *reason.fields.items()))
    return reasons[:limit]


def _reason(values: Values, counts: Counts, whole: Counts) -> Reason:
    g, explained = _g_in_time(counts, whole), explained_share(counts, whole)
    score = (
        sqrt(g + _g_inside(counts, whole)) * explained**2 * max(0.0, _added(counts, whole) - _traffic(counts, whole))
    )
    return Reason(dict(values), counts, explained, p_value(g), score)


def _g_in_time(counts: Counts, whole: Counts) -> float:
    """G of the combination against its own baseline; one that is new is compared with the baseline of all events."""
    before = counts if counts.events_before else whole
    return g_test(before.events_before, before.hits_before, counts.events_after, counts.hits_after)


def explained_share(counts: Counts, whole: Counts) -> float:
    """Return the part of all additional hits that `counts` has, 0 to 1."""
    excess = max(counts.excess, 0.0)
    # Where hits became rarer elsewhere, a part can have more additional hits than the whole.
    return excess / max(whole.excess, excess) if excess else 0.0


def _added(counts: Counts, whole: Counts) -> float:
    """The part of all hits that are more than before at the same total traffic, also of those that came with its own traffic."""
    scale = whole.events_after / whole.events_before if whole.events_before else 0.0
    own, all_ = (number.hits_after - scale * number.hits_before for number in (counts, whole))
    return own / max(own, all_) if own > 0 else 0.0


def _traffic(counts: Counts, whole: Counts) -> float:
    return counts.events_after / whole.events_after if whole.events_after else 0.0


def _g_inside(counts: Counts, whole: Counts) -> float:
    """G of the combination against the other events of the same time; 0 where it has no higher ratio."""
    outside = whole.minus(counts)
    if not outside.events_after or counts.ratio_after <= outside.ratio_after:
        return 0.0
    return g_test(counts.events_after, counts.hits_after, outside.events_after, outside.hits_after)


def independent(
    names: Sequence[str],
    cells: Mapping[tuple[str, ...], Counts],
    reasons: Sequence[Reason],
    significant: float = SIGNIFICANT,
) -> list[Reason]:
    """Return the reasons that still hold for the events that no better reason explains, in their order.

    So a worker that serves more of a failing route is not a reason beside that route, nor is a part of a better reason."""
    kept: list[Reason] = []
    whole = total(cells.values())
    rest = {values: (counts, dict(zip(names, values, strict=True))) for values, counts in cells.items()}
    # Of those with the same events, the shortest.
    for reason in sorted(reasons, key=lambda reason: (-reason.score, len(reason.fields), *reason.fields.items())):
        own = {values for values, (_, fields) in rest.items() if reason.fields.items() <= fields.items()}
        counts = total(rest[values][0] for values in own)
        enough = counts.excess > 0 and counts.hits_after >= LEAST_HITS and p_value(_g_in_time(counts, whole)) <= significant
        if enough and counts.excess >= LEAST_REST * reason.counts.excess:
            kept.append(reason)
            rest = {values: cell for values, cell in rest.items() if values not in own}
    return kept
