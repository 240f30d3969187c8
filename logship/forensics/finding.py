"""A finding: one thing in a window that needs attention, as a value that every interface shows with the same sentence."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["critical", "warning"]
Kind: TypeAlias = Literal[
    "worker-crashed",
    "worker-slow",
    "worker-silent",
    "worker-paused",
    "loop-stalled",
    "thread-pool-exhausted",
    "route-failing",
    "traffic-unbalanced",
    "events-dropped",
    "store-damaged",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """`sentence`: plain text without times, which are `since_ns` and `until_ns` (None where a finding has no moment).

    `service` and `worker` (service.node.name) are "" for a finding about several. `fields`: values of ECS fields that the
    finding is about; `evidence`: the numbers behind the sentence, named with their unit; `kql` finds the events."""

    kind: Kind
    severity: Severity
    sentence: str
    kql: str
    service: str = ""
    worker: str = ""
    since_ns: int | None = None
    until_ns: int | None = None
    fields: Mapping[str, str | list[str]] = field(default_factory=dict)
    evidence: Mapping[str, float] = field(default_factory=dict)


def short(node: str) -> str:
    """Return the short name of a worker, w2, from its node."""
    return node.rpartition("/")[2] or node
