"""Whether the files of a store are what was written: the verdict as a value, and anchors that can be kept elsewhere."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, runtime_checkable

from logship.errors import QuestionError
from logship.search.query import Query

IntegrityKind: TypeAlias = Literal["intact", "consistent", "changed", "unknown"]

_ANCHOR = re.compile(r"logship-anchor store=([0-9a-f]{16}) record=(\d{1,12}) digest=([0-9a-f]{64}) time=(\S{1,40})")


@dataclass(frozen=True, slots=True)
class Anchor:
    """The digest of one record of a store's chain. As text: one line that `parse_anchors` reads.

    Kept outside the store, it proves later that this record, and all before it, are unchanged."""

    store: str
    record: int
    digest: str
    time: str

    def __str__(self) -> str:
        return f"logship-anchor store={self.store} record={self.record} digest={self.digest} time={self.time}"


def parse_anchors(text: str) -> list[Anchor]:
    """Return the anchors in a text, in its order. QuestionError if there is none.

    What surrounds them, such as the quoting of a mail, is ignored."""
    anchors = [Anchor(match[1], int(match[2]), match[3], match[4]) for match in _ANCHOR.finditer(text)]
    if not anchors:
        shown = text.strip().partition("\n")[0][:60]
        raise QuestionError(f"{shown!r} is not an anchor: use the line that `logship anchor` printed, or a file with it")
    return anchors


@dataclass(frozen=True, slots=True)
class Flaw:
    """A file of a store that is not what the chain says. `reason`: a sentence without a full stop."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Integrity:
    """The verdict on the files of a store.

    `finding` is "intact" if an anchor matches and every segment of the window is what was recorded; "consistent" for the same
    without an anchor; "changed" with at least one flaw; "unknown" if the source has no chain or not everything could be read.
    `records`: of the chain; `segments`: in the window; `read`: those of them that were compared with their digest;
    `after_anchor`: those recorded after the newest anchor; `removed_after_anchor`: events that retention removed since then;
    `before_chain`: those that are older than the chain;
    `not_recorded`: segments and logs at the end that the chain does not have yet; `anchored_to`: the newest matching record."""

    finding: IntegrityKind
    sentence: str
    flaws: tuple[Flaw, ...] = ()
    store: str = ""
    began: str = ""
    records: int = 0
    segments: int = 0
    read: int = 0
    after_anchor: int = 0
    removed_after_anchor: int = 0
    before_chain: int = 0
    not_recorded: int = 0
    signed: bool = False
    anchored_to: int | None = None


@runtime_checkable
class Chained(Protocol):
    """A source with a chain of digests."""

    def integrity(self, query: Query, anchors: Sequence[Anchor] = ()) -> Integrity:
        """Return the verdict on the chain, and on the segments that may hold events in the time of `query`."""
        ...

    def anchor(self) -> Anchor:
        """Return the newest record of the chain. SourceError if there is no chain."""
        ...


def integrity(source: object, query: Query, anchors: Sequence[Anchor] = ()) -> Integrity:
    """Return the verdict of a source; "unknown" for one without a chain, such as Elasticsearch."""
    if isinstance(source, Chained):
        return source.integrity(query, anchors)
    return Integrity("unknown", "this source has no chain of digests, so changes of stored events cannot be detected")
