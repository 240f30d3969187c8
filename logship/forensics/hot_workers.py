"""A worker that served much more than its share for a part of a window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from logship.forensics.evenness import evenness
from logship.forensics.timeline import Slice, Timeline, even_shares
from logship.forensics.workers import WorkerRow

ROLLING = 5
LEAST_REQUESTS = 100
# Hot: the ratio of its requests to those of all others is at least this many times what it is in the rest of the window,
# and what it would be with even shares. With 4 workers that is a share of 50 %, with 8 of 30 %.
TIMES = 3.0
SIGNIFICANT = 0.01


@dataclass(frozen=True, slots=True)
class Hot:
    """`share` of the requests of its service from `since_ns` to `until_ns`; `usual_share` in the rest of the window."""

    worker: WorkerRow
    since_ns: int
    until_ns: int
    share: float
    usual_share: float


def hot_worker(rows: Sequence[WorkerRow], times: Timeline, units: float) -> Hot | None:
    """Return the worker that was hot for longest, None if no one was. `units`: see `evenness`.

    Windows of five slices overlap; those that are significant after a correction for their number, and have the same
    worker, are one."""
    nodes = [row.node for row in rows]
    sums = [_sum(times.slices[at : at + ROLLING], nodes) for at in range(len(times.slices) - ROLLING)]
    whole = _sum(times.slices, nodes)
    flagged: dict[str, list[int]] = {}
    for at, counts in enumerate(sums):
        node = max(counts, key=lambda name: counts[name])
        part = Timeline(times.every_ns, times.slices[at : at + ROLLING])
        if sum(counts.values()) >= LEAST_REQUESTS and _stands_out(node, counts, whole):
            judged = evenness([counts[name] for name in nodes], _positive(even_shares(rows, part)), units)
            if judged.p * len(sums) < SIGNIFICANT:
                flagged.setdefault(node, []).append(at)
    if not flagged:
        return None
    node, starts = max(flagged.items(), key=lambda item: len(item[1]))
    return _hot(next(row for row in rows if row.node == node), starts, times, whole)


def _hot(row: WorkerRow, starts: Sequence[int], times: Timeline, whole: Mapping[str, int]) -> Hot:
    """Trim the union of the windows to slices in which the worker served more than its usual share."""
    covered = sorted({place for start in starts for place in range(start, start + ROLLING)})
    usual = whole[row.node] / sum(whole.values())
    slices = [times.slices[place] for place in covered]
    own = [part for part in slices if part.requests.get(row.node, 0) > usual * sum(part.requests.values())]
    inside = sum(part.requests.get(row.node, 0) for part in own)
    total = sum(sum(part.requests.get(name, 0) for name in whole) for part in own)
    rest = sum(whole.values()) - total
    since_ns, until_ns = own[0].start_ns, own[-1].start_ns + times.every_ns
    return Hot(row, since_ns, until_ns, inside / total, (whole[row.node] - inside) / rest if rest else 0.0)


def _stands_out(node: str, counts: Mapping[str, int], whole: Mapping[str, int]) -> bool:
    others, total = sum(counts.values()) - counts[node], sum(whole.values()) - sum(counts.values())
    outside = whole[node] - counts[node]
    odds = counts[node] / max(others, 0.5)
    usual = outside / max(total - outside, 0.5) if total else 0.0
    return odds >= TIMES * max(usual, 1 / (len(counts) - 1))


def _sum(slices: Sequence[Slice], nodes: Sequence[str]) -> dict[str, int]:
    return {node: sum(part.requests.get(node, 0) for part in slices) for node in nodes}


def _positive(shares: Sequence[float]) -> list[float]:
    """A worker that was hardly there is expected to have served next to nothing, which must not look like much."""
    least = 0.1 * sum(shares) / len(shares)
    return [max(share, least) for share in shares]
