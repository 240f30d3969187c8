"""What the store holds under an event id: asked before a second event of that id is called a repetition.

A sender that was not acknowledged sends the same bytes again. Anybody who reaches the port can send other content under an
id that he read somewhere; that must neither take the place of the real event nor make it look like a repetition.
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
from logship.store.read.runner import QueryRunner, Snapshot
from logship.store.schema import COLUMNS, POSITION, record, select_row

# As for the background threads: a log that is read takes 32 MB.
_MEMORY_LIMIT_BYTES = 128 * 2**20
# So many records are in memory at once; each may have a megabyte.
_PIECE_ROWS = 64
# The time of an entry is the agent's to write: a sender that builds its frame anew, or an agent on the way, may round it.
_OWN = frozenset((POSITION, ids.CONFLICT, "_c", "@timestamp"))
_WHOLE_DATE = len("2026-11-20T10:00:00.000000000Z")
_DATES = frozenset(name for name, kind in COLUMNS.items() if kind == "TIMESTAMP_NS")
_NUMBERS = frozenset(name for name, kind in COLUMNS.items() if kind == "DOUBLE")
# Two may report the same end, when the first was killed before it had removed the journal. What the report says of the
# worker is the same then; when it was found, in which words, and how much was shipped until then is not.
_FINDERS = frozenset(("event.created", "event.reason", "message", "logship.acknowledged", "logship.journal.bytes"))

_logger = logging.getLogger("logship.store")


def content(record: Record) -> str:
    """Return the hash of a record as the door made it, or as it is read back: 16 hex digits, the same for both.

    The time and the store's own fields are left out, and of the report of a dead worker what depends on who found it."""
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
    """Looks events up by their ids in the store of `directory`. Belongs to the thread that writes it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._runner: QueryRunner | None = None

    def contents(self, wanted: Sequence[str]) -> dict[str, set[str]]:
        """Return the contents under each of these event ids of ours, of ids that the store does not hold none.

        What cannot be read counts as not there: the event is stored once more rather than lost."""
        if self._runner is None:
            self._runner = QueryRunner(self._directory, UTC, lambda: 0, _MEMORY_LIMIT_BYTES, 1, 0)
        parsed = [found for found in map(ids.parse, wanted) if found]
        try:
            return self._runner.ask(None, lambda look: _contents(look, wanted, parsed))
        except StoreError as error:
            _logger.warning("events that came again are stored again, those before them cannot be read: %s", error)
            return {}

    def close(self) -> None:
        if self._runner is not None:
            self._runner.close()


def _contents(look: Snapshot, wanted: Sequence[str], parsed: Sequence[tuple[str, int]]) -> dict[str, set[str]]:
    segments = [one for one in look.listing.segments if look.holds_any(one, parsed)]
    rows = look.relation(segments)
    look.cursor.execute(
        f'SELECT {select_row()} FROM ({rows}) WHERE "event.id" IN (SELECT unnest(?::VARCHAR[]))',  # noqa: S608
        [list(wanted)],
    )
    found: defaultdict[str, set[str]] = defaultdict(set)
    while some := look.cursor.fetchmany(_PIECE_ROWS):
        for row in some:
            held = record(row)
            found[held["event.id"]].add(content(held))
    return found
