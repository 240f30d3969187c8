"""Which field values explain that more requests are hits, failed or slow ones, than before."""

from collections.abc import Callable, Sequence

from logship.forensics.compare.combinations import Counts, total
from logship.forensics.compare.explain import Reason, explain, independent
from logship.forensics.compare.significance import g_test, p_value
from logship.forensics.compare.table import NARROW_FIELDS, Divided
from logship.search.views import STATUS

REASONS = 5
# Fields with many values: the least share of the hits of a value, and how many values of how many fields are considered.
LEAST_PART = 0.05
LEAST_HITS = 3
# What a failure looks like is not its reason.
OUTCOMES = (STATUS, "error.type")
VALUES_OF_A_FIELD, WIDE_CONSIDERED = 4, 3
# Many values and combinations are tried, in several fields and measures.
SIGNIFICANT = 1e-4

Cells = dict[tuple[str, ...], Counts]
# Reads all requests with one of these values of a field.
OfValues = Callable[[str, Sequence[str]], Divided]


def reasons(requests: Divided, hits: Divided, of_values: OfValues) -> tuple[Counts, list[Reason]]:
    """Return the counts of both times, and what explains that the ratio of hits rose, the best reason first.

    `hits` has the names of `requests` without the status, and those of fields with many values."""
    narrow = _cells(NARROW_FIELDS, requests, hits)
    whole = total(narrow.values())
    best: list[tuple[tuple[str, ...], Cells, list[Reason]]] = [
        (NARROW_FIELDS, narrow, explain(NARROW_FIELDS, narrow, significant=SIGNIFICANT))
    ]
    for name, values in _frequent(hits, whole):
        names: tuple[str, ...] = (*NARROW_FIELDS, name)
        own = _cells(names, of_values(name, values), hits)
        split = _split(narrow, {key: counts for key, counts in own.items() if key[-1] in values})
        best.append((names, split, explain(names, split, significant=SIGNIFICANT)))
    names, chosen, ranked = max(best, key=lambda choice: choice[2][0].score if choice[2] else 0.0)
    varying = _varying(names, chosen)
    return whole, independent(names, chosen, [reason for reason in ranked if varying >= set(reason.fields)])[:REASONS]


def _cells(names: Sequence[str], requests: Divided, hits: Divided) -> Cells:
    of_hits, none = hits.sides(names), (0, 0)
    found = {}
    for values, (before, after) in requests.sides(names).items():
        hits_before, hits_after = of_hits.get(values, none)
        found[values] = Counts(before, hits_before, after, hits_after)
    return found


def _frequent(hits: Divided, whole: Counts) -> list[tuple[str, list[str]]]:
    """Fields with many values, each with its values that became most frequent among the hits."""
    found: list[tuple[float, str, list[str]]] = []
    for name in hits.names:
        if name in (*NARROW_FIELDS, *OUTCOMES):
            continue
        rises = {
            values[0]: after / max(whole.hits_after, 1) - before / max(whole.hits_before, 1)
            for values, (before, after) in hits.sides((name,)).items()
            if values[0] and after >= max(LEAST_HITS, LEAST_PART * whole.hits_after)
            and p_value(g_test(whole.hits_before, before, whole.hits_after, after)) <= SIGNIFICANT
        }
        risen = sorted((value for value, rise in rises.items() if rise > LEAST_PART), key=lambda value: -rises[value])
        if risen:
            found.append((rises[risen[0]], name, risen[:VALUES_OF_A_FIELD]))
    return [(name, values) for _, name, values in sorted(found, reverse=True)[:WIDE_CONSIDERED]]


def _split(narrow: Cells, own: Cells) -> Cells:
    """The cells, divided into the requests with each of the values and those without."""
    rest = dict(narrow)
    for values, counts in own.items():
        if values[:-1] in rest:
            rest[values[:-1]] = rest[values[:-1]].minus(counts)
    return own | {(*values, ""): counts for values, counts in rest.items()}


def _varying(names: Sequence[str], cells: Cells) -> set[str]:
    """The names with more than one value: one that all requests have explains nothing."""
    return {name for index, name in enumerate(names) if len({values[index] for values in cells}) > 1}
