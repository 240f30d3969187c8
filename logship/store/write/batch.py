"""A batch of records on its way to the log: which are new, duplicates, conflicts, or cannot be stored."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from logship.store.ids import CONFLICT, Ids
from logship.store.lines import with_sum
from logship.store.read.contents import ContentLookup, content
from logship.store.write.dead_letters import dead_letter
from logship.store.write.known import KnownEvents, NewEvents
from logship.store.write.normalizer import Normalizer, Unstorable

_logger = logging.getLogger("logship.store")


@dataclass(slots=True)
class PreparedBatch:
    """What becomes of some records. `lines`: for the log; `letters`: for the file of dead letters; `new`: by run."""

    lines: list[bytes] = field(default_factory=list)
    letters: list[bytes] = field(default_factory=list)
    new: dict[str, NewEvents] = field(default_factory=dict)
    repeated: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)
    """Records whose id the store may have, perhaps with other content."""
    duplicates: int = 0
    conflicts: int = 0


class BatchBuilder:
    """Makes batches for one store. Belongs to the thread that appends."""

    def __init__(self, directory: Path, known: Ids) -> None:
        self._directory = directory
        self._known = KnownEvents(known)
        self._normalizer = Normalizer()
        self._contents = ContentLookup(directory)
        self._conflicts_logged = False

    def build(self, entries: list[tuple[int, dict[str, Any]]], position: int) -> PreparedBatch:
        """Return the batch of (nanoseconds, record) pairs; its first line has the position `position`."""
        batch = PreparedBatch()
        lines, new = batch.lines, batch.new
        line, take, keep = self._normalizer.line, self._known.take, self._known.keep
        for time_ns, record in entries:
            taken = None
            if isinstance(record, dict):
                id_ = event_id(record)
                taken = take(id_, new)
                if taken is False:
                    batch.repeated.append((id_, time_ns, record))
                    continue
                if CONFLICT in record:  # only the store sets it
                    record = without_conflict(record)  # noqa: PLW2901
            try:
                lines.append(with_sum(line(position, time_ns, record)))
            except Unstorable as reason:
                batch.letters.append(dead_letter(time_ns, record, str(reason)))
                continue
            position += 1
            if taken:
                keep(*taken)
        if batch.repeated:
            self._add_repeated(batch, position - len(lines))
        return batch

    def stored(self, batch: PreparedBatch) -> None:
        """Note that a batch is stored."""
        self._known.add(batch.new)

    def close(self) -> None:
        """Release memory and threads."""
        self._contents.close()

    def _add_repeated(self, batch: PreparedBatch, first_position: int) -> None:
        """Drop what is stored with the same content; keep other content beside it, marked as a conflict."""
        contents = self._contents_before(batch)
        for id_, time_ns, record in batch.repeated:
            plain = without_conflict(record) if CONFLICT in record else record
            position = first_position + len(batch.lines)
            before = contents.setdefault(id_, set())
            try:
                line = self._normalizer.line(position, time_ns, plain)
                hashed = content(orjson.loads(line))
                if before and hashed not in before:
                    line = self._normalizer.line(position, time_ns, plain | {CONFLICT: hashed})
            except Unstorable as reason:
                batch.letters.append(dead_letter(time_ns, plain, str(reason)))
                continue
            if hashed in before:
                batch.duplicates += 1
                continue
            batch.conflicts += bool(before)
            before.add(hashed)
            batch.lines.append(with_sum(line))
        if batch.conflicts and not self._conflicts_logged:
            self._conflicts_logged = True
            kept = "%s: %d events have the event.id of an event with other content and are kept beside it"
            _logger.warning(kept + "; find them with: logship search '%s: *'", self._directory, batch.conflicts, CONFLICT)

    def _contents_before(self, batch: PreparedBatch) -> dict[str, set[str]]:
        """The contents that the store and the batch have for each repeated id."""
        wanted = {id_ for id_, _, _ in batch.repeated}
        contents = self._contents.contents(sorted(wanted))
        for line in batch.lines:
            record = orjson.loads(line)
            if record.get("event.id") in wanted:
                contents.setdefault(record["event.id"], set()).add(content(record))
        return contents


def event_id(record: Mapping[str, Any]) -> Any:
    """Return what the record will have as `event.id`: nested maps are joined by dots."""
    flat = record.get("event.id")
    if type(flat) is not str and isinstance(nested := record.get("event"), dict):
        return nested.get("id")
    return flat


def without_conflict(record: dict[str, Any]) -> dict[str, Any]:
    """Return the record without the field that only a store sets."""
    return {name: value for name, value in record.items() if name != CONFLICT}
