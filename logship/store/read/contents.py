"""The stored contents of an event id, which decide whether another event with this id is a duplicate.

A sender that was not acknowledged sends the same bytes again. Anyone who can reach the port can send other content under a known
id: that must neither replace the real event nor make it look like a duplicate.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import orjson

from logship.errors import StoreError
from logship.search.query import BEAT_ACTIONS, Record
from logship.search.times import from_rfc3339, rfc3339
from logship.store import ids
from logship.store.read.runner import QueryRunner
from logship.store.read.snapshot import Snapshot
from logship.store.schema import COLUMNS, POSITION, record, select_row

# The same as for the background threads: reading a log takes 32 MB.
_MEMORY_LIMIT_BYTES = 128 * 2**20
# Records in memory at once; each may have a megabyte.
_PIECE_ROWS = 64
# The time is not compared: an agent on the way may round it.
_OWN = frozenset((POSITION, ids.CONFLICT, "_c", "@timestamp"))
_WHOLE_DATE = len("2026-11-20T10:00:00.000000000Z")
_DATES = frozenset(name for name, kind in COLUMNS.items() if kind == "TIMESTAMP_NS")
_NUMBERS = frozenset(name for name, kind in COLUMNS.items() if kind == "DOUBLE")
# Two processes may report the same end, if the first was killed before it removed the journal. The facts about the worker are
# the same in both reports; these fields are not.
_FINDERS = frozenset(("event.created", "event.reason", "message", "logship.acknowledged", "logship.journal.bytes"))

_logger = logging.getLogger("logship.store")


def content(record: Record) -> str:
    """Return a hash of a record: 16 hex digits, the same for a new record and the stored one.

    It leaves out the time, the fields that the store adds, and in a report of a crash the fields that depend on the reporter."""
    plain: dict[str, Any] = {}
    finders = _FINDERS if "event.created" in record and record.get("event.action") in BEAT_ACTIONS else ()
    for name, value in record.items():
        if name in finders or name in _OWN:
            continue
        if name in _DATES:
            plain[name] = value if len(value) == _WHOLE_DATE else rfc3339(from_rfc3339(value))
        elif name in _NUMBERS:
            plain[name] = float(value)
        elif name == "numeric_labels":
            plain[name] = {label: float(number) for label, number in value.items()}
        else:
            plain[name] = value
    packed = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(packed, digest_size=8).hexdigest()


class ContentLookup:
    """Looks up events by id in the store of `directory`. Belongs to the thread that writes it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._runner: QueryRunner | None = None

    def contents(self, wanted: Sequence[str]) -> dict[str, set[str]]:
        """Return the content hashes for each of these event ids that is stored.

        What cannot be read counts as not stored: the event is stored again rather than lost."""
        if self._runner is None:
            self._runner = QueryRunner(self._directory, UTC, lambda: 0, _MEMORY_LIMIT_BYTES, 1, 0)
        parsed = [found for found in map(ids.parse, wanted) if found]
        try:
            return self._runner.run(None, lambda snapshot: _contents(snapshot, wanted, parsed))
        except StoreError as error:
            _logger.warning("repeated events are stored again, because the stored ones cannot be read: %s", error)
            return {}

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()


def _contents(snapshot: Snapshot, wanted: Sequence[str], parsed: Sequence[tuple[str, int]]) -> dict[str, set[str]]:
    segments = [one for one in snapshot.listing.segments if snapshot.holds_any(one, parsed)]
    rows = snapshot.relation(segments)
    snapshot.cursor.execute(
        f'SELECT {select_row()} FROM ({rows}) WHERE "event.id" IN (SELECT unnest(?::VARCHAR[]))',  # noqa: S608
        [list(wanted)],
    )
    found: defaultdict[str, set[str]] = defaultdict(set)
    while some := snapshot.cursor.fetchmany(_PIECE_ROWS):
        for row in some:
            held = record(row)
            found[held["event.id"]].add(content(held))
    return found
