"""Repairing a store when its writer opens it: after kill -9, a full disk, or removed files."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import duckdb
import orjson

from logship.store import ids, needles
from logship.store.damage import damage_of_ends, set_aside
from logship.store.files import (
    Listing,
    Segment,
    listing,
    log_name,
    new_spill,
    remove_left_spills,
    sync_directory,
    write_durably,
)
from logship.store.ids import Ids
from logship.store.lines import keep_lines, split
from logship.store.schema import as_stored, connect
from logship.store.sums import Sum

_MEMORY_LIMIT_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Recovered:
    """The state of a repaired store. `active`: the number of the log to append to; `full_logs`: logs to be sealed.

    `sentence`: what was found and done; `damage`: a sentence for each file that was set aside now."""

    active: int
    active_lines: int
    active_bytes: int
    full_logs: tuple[int, ...]
    ids: Ids
    sentence: str
    damage: tuple[str, ...] = ()


def recover(directory: Path) -> Recovered:
    """Remove torn lines, half-written and superseded files; set unreadable files aside. Requires the lock."""
    did: list[str] = []
    names = os.listdir(directory)
    if temporary := [name for name in names if name.endswith(".tmp")]:
        did.append(f"removed {len(temporary)} half-written files")
    for name in temporary:
        (directory / name).unlink()
    if spilt := remove_left_spills(directory):
        did.append(f"removed the spill files of {spilt} killed queries")
    aside = listing(names).damaged
    damage: list[str] = []
    found = _readable(directory, listing(names), damage, did)
    if damage:
        did.append(f"set {len(damage)} unreadable segments aside as .bad")
    if aside:
        events = sum(one.rows for one in aside)
        did.append(f"{len(aside)} damaged segments were set aside before, their {events} events are missing")
    if superseded := [name for name in found.covered if name not in temporary]:
        did.append(f"removed {len(superseded)} superseded files")
    for name in superseded:
        (directory / name).unlink(missing_ok=True)
    if not found.whole:
        did.append("some log numbers are missing: their events are lost, the rest is served")
    torn = sum(_cut(directory / log_name(number)) for number in found.logs)
    if torn:
        did.append(f"removed {torn} bytes of an incomplete line")
    damaged = {number: lost for number in found.logs if (lost := _take_out(directory / log_name(number)))}
    if damaged:
        kept = ", ".join(log_name(number).replace(".ndjson", ".bad") for number in damaged)
        did.append(f"set {sum(damaged.values())} damaged lines of logs aside in {kept}")
    counts = {number: _count(directory / log_name(number)) for number in found.logs}
    # An empty last log is taken up again: log numbers must follow each other.
    last = found.logs[-1] if found.logs else None
    # Without some of its lines the positions in it are not known from their number.
    active = last if last is not None and last == found.next_log - 1 and last not in damaged else found.next_log
    sync_directory(directory)
    rows = sum(segment.rows for segment in found.segments) + sum(counts.values())
    held = f"holds {rows} records in {len(found.segments)} segments and {len(found.logs)} logs" if rows else "is empty"
    sentence = f"the store in {directory} {held}"
    sealed = [ids.read(directory, segment) or {} for segment in found.segments]
    return Recovered(
        active=active,
        active_lines=counts.get(active, 0),
        active_bytes=(directory / log_name(active)).stat().st_size if active in counts else 0,
        full_logs=tuple(number for number in found.logs if number != active),
        ids=ids.merge([*sealed, *(_unsealed(directory / log_name(one)) for one in found.logs)]),
        sentence="; ".join([sentence, *did]),
        damage=tuple(damage),
    )


def _readable(directory: Path, found: Listing, damage: list[str], did: list[str]) -> Listing:
    """The listing without segments that cannot be read or have a wrong size; they are renamed, never deleted.

    Rebuilds missing event ids. Checksums are compared later, in the background and by queries, because that reads all data."""
    bad: list[str] = []
    rebuilt = 0
    for segment in found.segments:
        wrong = damage_of_ends(directory / segment.name, ids.read_segment_sum(directory, segment))
        if not wrong and ids.read(directory, segment) is None:
            wrong = _rebuild(directory, segment)
            rebuilt += wrong is None
        if wrong:
            bad.append(set_aside(directory, segment, wrong))
    damage += bad
    if rebuilt:
        did.append(f"rebuilt the event ids of {rebuilt} segments")
    # What a bad segment superseded may still be there.
    return _readable(directory, listing(os.listdir(directory)), damage, did) if bad else found


def _cut(log: Path) -> int:
    """Remove what follows the last newline and return its number of bytes."""
    with log.open("rb+") as file:
        data = file.read()
        end = data.rfind(b"\n") + 1
        if end != len(data):
            file.truncate(end)
            file.flush()
            os.fsync(file.fileno())
        return len(data) - end


def _take_out(log: Path) -> int:
    """Move damaged lines of a log to its `.bad` file and return their number."""
    good, bad = split(log.read_bytes())
    if bad:
        keep_lines(log, bad)
        write_durably(log, b"".join(good))
    return len(bad)


def _count(log: Path) -> int:
    with log.open("rb") as file:
        return sum(1 for _ in file)


def _rebuild(directory: Path, segment: Segment) -> str | None:
    """Rebuild the event ids of a segment; return what is wrong if it cannot be read."""
    with contextlib.closing(connect(_MEMORY_LIMIT_BYTES, 1, new_spill(directory))) as connection:
        try:
            known = ids.rebuild(connection, as_stored([directory / segment.name]))
            filters = needles.build(connection, directory / segment.name, segment.rows)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            return str(error).partition("\n")[0]
    ids.write(directory, segment, known, Sum.of(directory / segment.name), filters)
    return None


def _unsealed(log: Path) -> Ids:
    with log.open("rb") as file:
        return ids.collect(_event_id(line) for line in file)


def _event_id(line: bytes) -> str | None:
    try:
        record = orjson.loads(line)
        found = None if ids.CONFLICT in record else record.get("event.id")
    except (ValueError, AttributeError, TypeError):
        return None
    return found if isinstance(found, str) else None
