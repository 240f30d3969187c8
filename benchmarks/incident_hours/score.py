"""Whether a list of findings explains an hour: the right cause, its rank, its beginning; or an accusation in a quiet hour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from benchmarks.incident_hours.plan import SECOND, Accepted, Truth

# A finding as `logship incident --json` prints it.
Found = Mapping[str, Any]
START_NS = 30 * SECOND
NODE, SLOT = "service.node.name", "logship.worker.slot"


@dataclass(frozen=True, slots=True)
class Score:
    """`rank`: of the first right finding, 0 without one; `off_ns`: distance of its beginning from the true one, None if it has
    none; `said`: what was found instead, or the accusation of a quiet hour."""

    kind: str
    size: str
    quiet: bool
    rank: int
    off_ns: int | None
    said: str
    findings: int
    seconds: float = 0.0
    events: int = 0


def score(truth: Truth, findings: Sequence[Found]) -> Score:
    """Judge the findings, the first rank first."""
    rank = next((at for at, found in enumerate(findings, 1) if any(right(found, one) for one in truth.accepted)), 0)
    off_ns = None
    if rank and truth.began_ns is not None:
        off_ns = off(findings[rank - 1], truth.began_ns)
    said = "" if rank == 1 or not findings else _shown(findings[0])
    return Score(truth.kind, truth.size, not truth.accepted, rank, off_ns, said, len(findings))


def right(found: Found, accepted: Accepted) -> bool:
    """Return whether the finding has an accepted kind and names what was planted."""
    if found["kind"] not in accepted.kinds:
        return False
    fields = found.get("fields") or {}
    if any(value not in _values(fields, name) for name, value in accepted.fields.items()):
        return False
    if accepted.worker and not _names_worker(found, fields, accepted.worker):
        return False
    return accepted.words in " ".join([str(found.get("sentence", "")), *(v for name in fields for v in _values(fields, name))])


def _names_worker(found: Found, fields: Mapping[str, Any], node: str) -> bool:
    slot = node.rpartition("/w")[2]
    return found.get("worker") in (node, f"w{slot}") or node in _values(fields, NODE) or slot in _values(fields, SLOT)


def _values(fields: Mapping[str, Any], name: str) -> list[str]:
    value = fields.get(name)
    return [str(one) for one in value] if isinstance(value, list | tuple) else [] if value is None else [str(value)]


def off(found: Found, began_ns: int) -> int | None:
    """Return how far the middle of the interval in which the finding began is from the truth."""
    times = found.get("began")
    if not times:
        return None
    low, high = (_ns(time) for time in times)
    return abs((low + high) // 2 - began_ns)


def _ns(time: object) -> int:
    if isinstance(time, int | float):
        return int(time)
    return int(datetime.fromisoformat(str(time)[:26].rstrip("Z") + "+00:00").timestamp() * 1e9)


def _shown(found: Found) -> str:
    worker = str(found.get("worker") or "").rpartition("/")[2]
    fields = ", ".join(f"{name}={'|'.join(_values(found['fields'], name))}" for name in found.get("fields") or {})
    return f"{found['kind']} {worker} {fields}".replace("  ", " ").strip()


def within_start(one: Score) -> bool:
    return one.off_ns is not None and one.off_ns <= START_NS
