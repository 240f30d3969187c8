"""Orders of a shop as events, and all records of a store: for the commands that write and read files."""

from pathlib import Path

from logship.search.query import Page, Query, Record
from logship.store.read.reader import Reader

LIFE = "0123456789abcdef01234567"
NS = 1_795_132_800 * 10**9


def event(number: int, **more: object) -> tuple[int, dict[str, object]]:
    """Return one order as an event that a store takes; orders are a millisecond apart."""
    record: dict[str, object] = {
        "event.id": f"{LIFE}-{number:012d}",
        "event.sequence": number,
        "event.dataset": "logship.request",
        "event.duration": number * 1000,
        "message": f"GET /orders/{number} 200 1ms",
        "tags": ["slow", "cut"],
        "labels": {"tenant": f"t{number % 3}"},
        **more,
    }
    return NS + number * 1_000_001, record


def records(directory: Path) -> list[Record]:
    """Return all records of the store in `directory`, oldest first."""
    reader = Reader(directory)
    try:
        return reader.search(Query(), Page(1000, newest_first=False)).records
    finally:
        reader.close()
