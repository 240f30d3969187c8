"""Compares what a chain says with the files of its store. Nothing is changed."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from logship.search.integrity import Anchor, Flaw
from logship.search.query import Query
from logship.search.times import rfc3339
from logship.search.units import plural
from logship.store import ids, needles
from logship.store.chain.state import ChainState, Entry, parsed
from logship.store.files import Segment, listing, new_spill
from logship.store.schema import as_stored, connect

_MEMORY_BYTES = 128 * 2**20


@dataclass(slots=True)
class Compared:
    """What a comparison found. `to_read`: the segments of the window that are there, with what must be in them."""

    flaws: list[Flaw] = field(default_factory=list)
    to_read: dict[str, Entry] = field(default_factory=dict)
    not_recorded: int = 0


def compare_names(state: ChainState, names: Sequence[str], records_before: int, query: Query) -> Compared:
    """Compare the segments that must be there with the names of the files. Reads no file.

    `records_before`: how many records the chain had before the names were listed; `state` is the chain after that. A running
    collector records a removal before it, and a new segment is either newer than the list or in it."""
    there, compared = set(names), Compared()
    for name, entry in expected(state, there).items():
        if name not in there:
            if entry.record >= records_before:
                continue
            compared.flaws.append(_missing(name, there))
        elif overlaps(parsed(name), query):
            compared.to_read[name] = entry
    must = {part for entry in state.live.values() for part in entry.parts} | set(state.live)
    for segment in listing(list(names)).segments:
        if segment.name in must or segment.name in state.removed:
            continue
        if segment.first > state.last_log:
            compared.not_recorded += 1
        else:
            compared.flaws.append(Flaw(segment.name, "it is not in the chain, and takes the place of what is"))
    return compared


def expected(state: ChainState, there: set[str]) -> dict[str, Entry]:
    """Return what must be there: a segment, or all that it replaced if it has not got its name yet."""
    found: dict[str, Entry] = {}
    for name, entry in state.live.items():
        unfinished = name not in there and entry.parts and entry.parts.keys() <= there
        found |= entry.parts if unfinished else {name: entry}
    return found


def overlaps(segment: Segment, query: Query) -> bool:
    """Return whether a segment may hold events in the time of a query."""
    return (query.since_ns is None or segment.newest_ns >= query.since_ns) and (
        query.until_ns is None or segment.oldest_ns < query.until_ns
    )


def compare_anchors(anchors: Sequence[Anchor], state: ChainState, digests: Mapping[int, str]) -> list[Flaw]:
    """Return a flaw for each anchor that the chain contradicts. `digests`: of the records that anchors name, by number."""
    flaws, store = [], state.store
    for anchor in anchors:
        name = f"anchor of {anchor.time}"
        if anchor.store != store:
            why = (
                f"it is of the chain {anchor.store}, and this is {store or 'none'}: the store or its chain was replaced"
            )
            flaws.append(Flaw(name, why))
        elif anchor.record not in digests:
            last = state.records - 1
            why = f"it is of record {anchor.record}, and the chain ends with {last}: its end was cut, or this is an older copy"
            flaws.append(Flaw(name, why))
        elif digests[anchor.record] != anchor.digest:
            flaws.append(Flaw(name, f"record {anchor.record} has another digest: the chain was written again"))
    return flaws


def compare_ids(directory: Path, segment: Segment, entry: Entry) -> Flaw | None:
    """Return a flaw if the list of event ids or the filters were changed. Those that were rebuilt match their segment."""
    found = ids.digest(directory, segment)
    if not entry.ids or found in {"", entry.ids}:
        return None
    path, filters = directory / segment.name, ids.read_filters(directory, segment)
    with contextlib.closing(connect(_MEMORY_BYTES, 1, new_spill(directory))) as database:
        if ids.rebuild(database, as_stored([path])) != ids.read(directory, segment):
            return Flaw(segment.ids_name, "its list of event ids is not that of its segment")
        # Without filters a query reads all rows.
        if filters and not needles.match(database, path, segment.rows, filters[0]):
            return Flaw(segment.ids_name, "its filters of ids are not those of its segment")
    return None


def _missing(name: str, there: set[str]) -> Flaw:
    segment = parsed(name)
    events = f"{plural(segment.rows, 'event')} from {rfc3339(segment.oldest_ns)} to {rfc3339(segment.newest_ns)}"
    if segment.bad_name in there:
        why = f"it was damaged and set aside with {events}; damage and tampering look the same"
        return Flaw(segment.bad_name, why)
    return Flaw(name, f"it is missing with {events}, and retention did not remove it")
