"""Incarnations out of a store: sequences from the `.ids` files, who and when from the rows."""
# ruff: noqa: S608 - only names of our own columns and files are ever written into SQL

from collections.abc import Iterable
from pathlib import Path

import duckdb

from logship.search.query import Incarnation, Record
from logship.search.ranges import size
from logship.store import ids
from logship.store.files import Segment
from logship.store.schema import SELECT_ROW, record

# The incarnation of an event of ours, NULL for others; cheaper than a regular expression, and checked again by `ids`.
NAME = """CASE WHEN length("event.id") >= 37 AND substr("event.id", 25, 1) = '-' THEN left("event.id", 24) END"""
_NUMBER = 'try_cast(substr("event.id", 26) AS BIGINT)'
_BEATS = ("worker-heartbeat", "worker-closed", "worker-lost", "worker-ended")
_ENDS = ("worker-closed", "worker-lost", "worker-ended")


def incarnations(
    cursor: duckdb.DuckDBPyConnection,
    directory: Path,
    segments: Iterable[Segment],
    everything: str,
    unsealed: str,
    names: set[str],
) -> list[Incarnation]:
    """Return the lives called `names`, oldest first. `everything` and `unsealed` are relations."""
    if not names:
        return []
    held = _held(cursor, directory, segments, unsealed)
    names &= held.keys()
    who = cursor.execute(
        f"""
        SELECT life, arg_max("service.name", n), arg_max("service.node.name", n), arg_max("logship.worker.slot", n),
               arg_max("logship.worker.generation", n), arg_max("process.pid", n),
               epoch_ns(min("@timestamp")), epoch_ns(max("@timestamp"))
        FROM (SELECT *, {NAME} AS life, {_NUMBER} AS n FROM ({everything}))
        WHERE list_contains(?, life) GROUP BY life ORDER BY 7, 1
        """,
        [sorted(names)],
    ).fetchall()
    beats = _newest(cursor, everything, names, _BEATS)
    ends = _newest(cursor, everything, names, _ENDS)
    return [
        Incarnation(
            id=life, service=service or "", node=node or "", slot=slot, generation=generation, pid=pid,
            first_ns=first_ns, last_ns=last_ns, stored=held[life].ranges, last_beat=beats.get(life),
            ended=ends[life]["event.action"] if life in ends else None,
            duplicates=held[life].rows - size(held[life].ranges),
        )
        for life, service, node, slot, generation, pid, first_ns, last_ns in who
    ]  # fmt: skip


def _held(cursor: duckdb.DuckDBPyConnection, directory: Path, segments: Iterable[Segment], unsealed: str) -> ids.Ids:
    parts = []
    for segment in segments:
        known = ids.read(directory, segment)
        parts.append(ids.rebuild(cursor, directory / segment.name) if known is None else known)
    parts.append(ids.collect(event for (event,) in cursor.execute(f'SELECT "event.id" FROM ({unsealed})').fetchall()))
    return ids.merge(parts)


def _newest(
    cursor: duckdb.DuckDBPyConnection, everything: str, names: set[str], actions: tuple[str, ...]
) -> dict[str, Record]:
    """The last event with one of `actions` of each life, by sequence."""
    rows = cursor.execute(
        f"""
        SELECT {SELECT_ROW}, {NAME} AS life FROM ({everything}) WHERE list_contains(?, "event.action")
        AND list_contains(?, {NAME}) QUALIFY row_number() OVER (PARTITION BY {NAME} ORDER BY {_NUMBER} DESC) = 1
        """,
        [list(actions), sorted(names)],
    ).fetchall()
    return {row[-1]: record(row[:-1]) for row in rows}
