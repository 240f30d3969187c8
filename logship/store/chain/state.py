"""What a chain says about the files of a store: the result of all its records."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from logship.search.integrity import Flaw
from logship.store.chain.record import NO_DIGEST, ChainBroken, ChainRecord
from logship.store.files import Segment, segment_of

# A crash can leave removed segments there, and another thread may have appended records since.
REMOVED_LATELY = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """What the chain has of one segment. `sha256`: "" if it is not known yet; `ids`: of its event ids, "" if not known.

    `record`: the newest about it; `before`: whether it is older than the chain; `parts`: what it replaced, by name."""

    sha256: str
    ids: str = ""
    record: int = 0
    before: bool = False
    parts: Mapping[str, "Entry"] = field(default_factory=dict)


@dataclass(slots=True)
class ChainState:
    """The state after the records that were applied. `live`: the segments that must be there, by name.

    `removed`: the newest that retention removed; `removals`: record and number of events of every removal; `last_log`: the
    highest log number that was ever recorded; `after`: why an earlier chain was set aside; `unsigned`: how many records have
    no signature."""

    store: str = ""
    began: str = ""
    after: str = ""
    records: int = 0
    unsigned: int = 0
    digest: str = NO_DIGEST
    time: str = ""
    live: dict[str, Entry] = field(default_factory=dict)
    removed: deque[str] = field(default_factory=lambda: deque(maxlen=REMOVED_LATELY))
    removals: list[tuple[int, int]] = field(default_factory=list)
    last_log: int = -1
    flaws: list[Flaw] = field(default_factory=list)

    @classmethod
    def of(cls, found: Iterable[ChainRecord]) -> Self:
        """Return the state after these records. ChainBroken if one has an unknown form."""
        state = cls()
        for record in found:
            state.apply(record)
        if not state.records:
            raise ChainBroken(0, "is missing")
        return state

    def copy(self) -> Self:
        """Return a copy that further records do not change."""
        return replace(
            self, live=dict(self.live), removed=deque(self.removed, REMOVED_LATELY), removals=[*self.removals],
            flaws=[*self.flaws],
        )  # fmt: skip

    def apply(self, record: ChainRecord) -> None:
        """Apply the next record. ChainBroken if it has an unknown form."""
        try:
            self._apply(record)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ChainBroken(record.number, "has an unknown form") from error
        self.records, self.digest, self.time = record.number + 1, record.digest, record.time
        self.unsigned += not record.mac

    def entry(self, name: str) -> Entry | None:
        """Return what is known of a segment that is live, or that was replaced by a live one."""
        if name in self.live:
            return self.live[name]
        return next((entry.parts[name] for entry in self.live.values() if name in entry.parts), None)

    def _apply(self, record: ChainRecord) -> None:
        fields = record.fields
        if (record.kind == "begin") != (record.number == 0):
            raise ValueError(record.kind)
        if record.kind == "begin":
            self.store, self.began, self.after = fields["store"], record.time, fields.get("after") or ""
            for name, sha256 in fields["segments"].items():
                self._add(name, Entry(sha256 or "", before=True))
        elif record.kind == "remove":
            for name in fields["segments"]:
                self._remove(record, name)
        elif record.kind in {"seal", "known", "merge", "reduce"}:
            self._segment(record, fields["segment"], fields.get("parts", {}))
        else:
            raise ValueError(record.kind)

    def _remove(self, record: ChainRecord, name: str) -> None:
        segment = parsed(name)
        if self._take(name) is not None:
            self.removals.append((record.number, segment.rows))
            # Retention removes the oldest first. Damaged segments that were set aside make an exception, and are a flaw anyway.
            if any(parsed(other).first < segment.first for other in self.live):
                self.flaws.append(Flaw(name, f"record {record.number} removes it, and older ones are kept: not by retention"))
        self.removed.append(name)

    def _segment(self, record: ChainRecord, segment: Mapping[str, Any], parts: Mapping[str, str]) -> None:
        entry = Entry(segment["sha256"], segment["ids"], record.number)
        if record.kind == "known":
            entry = replace(entry, before=True)
        taken = {name: self._part(record, name, sha256) for name, sha256 in parts.items()}
        entry = replace(entry, parts=taken, before=entry.before or any(part.before for part in taken.values()))
        self._add(segment["name"], entry)

    def _part(self, record: ChainRecord, name: str, sha256: str) -> Entry:
        known = self._take(name)
        if known is None:
            self.flaws.append(Flaw(name, f"record {record.number} replaces it, and no record before has it"))
        elif known.sha256 and known.sha256 != sha256:
            self.flaws.append(Flaw(name, f"record {record.number} replaces it with other content than was recorded"))
        # One level of parts is enough: what a part had replaced is gone since its own record was followed by its file.
        return Entry(sha256, known.ids if known else "", record.number, known.before if known else False)

    def _add(self, name: str, entry: Entry) -> None:
        self.live[name] = entry
        self.last_log = max(self.last_log, parsed(name).last)

    def _take(self, name: str) -> Entry | None:
        """Take a segment out of the live ones; a replacement of it that never got its name is undone first."""
        if name not in self.live:
            undone = next((product for product, entry in self.live.items() if name in entry.parts), None)
            if undone is not None:
                self.live |= self.live.pop(undone).parts
        return self.live.pop(name, None)


def parsed(name: str) -> Segment:
    """Return the segment of a file name. ValueError if it is not one."""
    segment = segment_of(name)
    if segment is None:
        raise ValueError(name)
    return segment
