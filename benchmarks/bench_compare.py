"""Rank the causes of labelled incidents, and compare with plain statistics: is the true combination first, among the first five?

python benchmarks/bench_compare.py --data DIR    # incidents.json and a CSV per incident, as in RobustSpot (riskloc/data/RS, MIT)

Each CSV has a row per minute and combination: min, value (failures), cnt (requests) and the attributes. The window is the minute
of the incident, the baseline the four minutes before. The odd ones were used to choose the score, the even ones were not."""

import argparse
import csv
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from machine import table

from logship.forensics.compare.combinations import Counts, combined, total
from logship.forensics.compare.explain import explain, explained_share
from logship.forensics.compare.significance import g_test

BASELINE_SECONDS = 240
LISTED = 5


@dataclass(frozen=True)
class Labelled:
    """One incident: counts by combination, and the combinations that are its cause."""

    names: list[str]
    cells: dict[tuple[str, ...], Counts]
    causes: list[dict[str, str]]

    def ranks(self, rank: Callable[["Labelled"], Sequence[dict[str, str]]]) -> int:
        """Return at which place a cause is, from 0; 99 if it is not listed."""
        return next((place for place, fields in enumerate(rank(self)) if fields in self.causes), 99)


def read(folder: Path) -> list[Labelled]:
    incidents = json.loads((folder / "incidents.json").read_text())
    return [_labelled(folder / f"{one['data']}.csv", one["timestamp"], one["cause"]) for one in incidents]


def _labelled(path: Path, at: int, cause: dict[str, object] | list[dict[str, object]]) -> Labelled:
    sums: defaultdict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0] * 4)
    with path.open(newline="") as lines:
        rows = csv.DictReader(lines)
        names = [name for name in rows.fieldnames or () if name not in ("min", "value", "cnt")]
        for row in rows:
            minute = int(row["min"])
            if minute == at or at - BASELINE_SECONDS <= minute < at:
                counts = sums[tuple(row[name] for name in names)]
                counts[2 * (minute == at)] += float(row["cnt"])
                counts[2 * (minute == at) + 1] += float(row["value"])
    causes = cause if isinstance(cause, list) else [cause]
    cells = {values: Counts(*counts) for values, counts in sums.items()}
    return Labelled(names, cells, [{name: str(value) for name, value in one.items()} for one in causes])


def ours(incident: Labelled) -> list[dict[str, str]]:
    return [reason.fields for reason in explain(incident.names, incident.cells, LISTED)]


def plain(score: Callable[[Counts, Counts], float]) -> Callable[[Labelled], list[dict[str, str]]]:
    """Rank all combinations by one number of their counts and the counts of everything."""

    def rank(incident: Labelled) -> list[dict[str, str]]:
        whole, counts = total(incident.cells.values()), combined(incident.names, incident.cells, 1)
        return [dict(values) for values in sorted(counts, key=lambda values: -score(counts[values], whole))[:LISTED]]

    return rank


def points(counts: Counts, whole: Counts) -> float:
    """The share among failures after, minus that before."""
    return counts.hits_after / max(whole.hits_after, 1) - counts.hits_before / max(whole.hits_before, 1)


def inside(counts: Counts, whole: Counts) -> float:
    """G of the combination against the rest of the same time."""
    rest = whole.minus(counts)
    rises = rest.events_after and counts.ratio_after > rest.ratio_after
    return g_test(rest.events_after, rest.hits_after, counts.events_after, counts.hits_after) if rises else 0.0


def differences(counts: Counts, whole: Counts) -> float:
    """G against its own baseline, times its share of the additional failures."""
    return g_test(*counts) * explained_share(counts, whole)


METHODS = {
    "logship": ours,
    "G before/after x explained share": plain(differences),
    "G inside/outside": plain(inside),
    "percentage points among failures": plain(points),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Rank the causes of labelled incidents.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="incidents.json and its CSV files")
    incidents = read(parser.parse_args().data)
    events = sum(sum(counts[::2]) for incident in incidents for counts in incident.cells.values())
    rows = []
    for name, rank in METHODS.items():
        start = time.perf_counter()
        places = [incident.ranks(rank) for incident in incidents]
        seconds = time.perf_counter() - start
        shares = [f"{_hits(part, first):.3f}" for part in (places, places[::2], places[1::2]) for first in (1, LISTED)]
        rows.append([name, *shares, f"{1e3 * seconds / len(places):.0f}", f"{seconds / events * 1e6:.3f}"])
    columns = ["score", "hit@1", "hit@5", "odd@1", "odd@5", "even@1", "even@5", "ms each", "s per million events"]
    table(f"The cause of {len(incidents)} incidents; odd: 1st, 3rd, ...", columns, rows)


def _hits(places: list[int], first: int) -> float:
    return sum(place < first for place in places) / len(places)


if __name__ == "__main__":
    main()
