"""One finding of an incident: what changed, where, since when, and the numbers behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from logship.search.times import rfc3339

IncidentKind: TypeAlias = Literal[
    "death", "gap", "drops", "failing", "slow", "traffic", "imbalance", "stall", "status", "new_error", "new_pattern", "deploy",
]  # fmt: skip
# Causes before their consequences; of the same kind, the stronger evidence first.
ORDER: tuple[IncidentKind, ...] = (
    "death", "deploy", "stall", "failing", "slow", "status", "new_error", "imbalance", "traffic", "drops", "gap", "new_pattern",
)  # fmt: skip
LABELS: Mapping[str, str] = {"death": "crash", "gap": "missing events", "drops": "dropped events"}
CRITICAL = {"death", "gap", "drops", "failing", "deploy"}
Interval: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Outlier:
    """`began` and `ended`: the earliest and latest time of it in nanoseconds; `ended` is None if it lasts until the end.

    `worker`: a service.node.name, or "" if it is about several; `fields`: ECS fields with their value, or values;
    `evidence`: numbers named with their unit; `strength`: ranks findings of one kind; `query`: KQL that finds the events."""

    kind: IncidentKind
    sentence: str
    query: str
    began: Interval
    ended: Interval | None = None
    service: str = ""
    worker: str = ""
    fields: Mapping[str, str | list[str]] = field(default_factory=dict)
    evidence: Mapping[str, float] = field(default_factory=dict)
    strength: float = 0.0

    @property
    def label(self) -> str:
        """The kind as reports show it; `kind` is the stable value of the JSON."""
        return LABELS.get(self.kind) or self.kind.replace("_", " ")

    @property
    def severity(self) -> str:
        return "critical" if self.kind in CRITICAL else "warning"

    def as_json(self, rank: int) -> dict[str, Any]:
        """Return the finding as documented: times as RFC 3339."""
        return {
            "rank": rank, "kind": self.kind, "severity": self.severity, "sentence": self.sentence, "service": self.service,
            "worker": self.worker, "fields": dict(self.fields), "began": [rfc3339(time) for time in self.began],
            "ended": [rfc3339(time) for time in self.ended] if self.ended else None, "evidence": dict(self.evidence),
            "query": self.query,
        }  # fmt: skip


def ranked(findings: list[Outlier]) -> list[Outlier]:
    """Return the findings, causes first."""
    return sorted(findings, key=lambda finding: (ORDER.index(finding.kind), -finding.strength, finding.began))
