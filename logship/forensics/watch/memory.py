"""What a watch remembers between its rounds: the findings it knows, and the notices that a webhook has not accepted yet.

As JSON: {"version": 1, "round_ns", "known": [...], "outbox": [...]}; times are nanoseconds since 1970."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from logship.forensics.incident.finding import Outlier
from logship.search.times import rfc3339

VERSION = 1
NoticeKind: TypeAlias = Literal["began", "ended"]


@dataclass(frozen=True, slots=True)
class Known:
    """A finding that the watch knows. `finding`: as of the last round with it; `keys`: every identity that it had.

    `lasted_ns`: the latest time at which it was still so; `reported` and `over`: whether its begin and its end were reported."""

    id: str
    finding: Outlier
    keys: tuple[str, ...]
    began_ns: int
    lasted_ns: int
    reported: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """The begin or the end of a finding, to be reported once. `id` is that of the finding: the same in both of its notices.

    `ended_ns`: when it ended, None in a begin; `usual`: it still lasts, and is not compared with the time before any more."""

    kind: NoticeKind
    id: str
    at_ns: int
    finding: Outlier
    began_ns: int
    ended_ns: int | None = None
    usual: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the notice as documented: the finding as in the JSON of `logship incident`, without a rank."""
        finding = self.finding.as_json(0)
        del finding["rank"]
        finding["began"] = [rfc3339(min(self.began_ns, self.finding.began[0])), finding["began"][1]]
        if self.ended_ns is not None and not self.usual:
            finding["ended"] = finding["ended"] or [rfc3339(self.ended_ns)] * 2
        return {"event": self.kind, "id": self.id, "time": rfc3339(self.at_ns), "finding": finding}


@dataclass(frozen=True, slots=True)
class Memory:
    """`round_ns`: the time of the last round, 0 before the first. `outbox`: notices that wait for the webhook, oldest first."""

    round_ns: int = 0
    known: tuple[Known, ...] = ()
    outbox: tuple[Notice, ...] = ()


def as_json(memory: Memory) -> dict[str, Any]:
    """Return the memory as JSON."""
    return {"version": VERSION} | asdict(memory)


def from_json(data: Mapping[str, Any]) -> Memory:
    """Return the memory of its JSON. KeyError, TypeError, ValueError or AttributeError if it is not one."""
    if data["version"] != VERSION:
        raise ValueError(f"version {data['version']}")
    known = tuple(Known(**{**row, "finding": _finding(row["finding"]), "keys": tuple(row["keys"])}) for row in data["known"])
    outbox = tuple(Notice(**{**row, "finding": _finding(row["finding"])}) for row in data["outbox"])
    return Memory(int(data["round_ns"]), known, outbox)


def _finding(row: Mapping[str, Any]) -> Outlier:
    finding = Outlier(**row)
    low, high = finding.began
    ended = None if finding.ended is None else (finding.ended[0], finding.ended[1])
    return replace(finding, began=(low, high), ended=ended)
