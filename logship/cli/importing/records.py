"""The records that `logship import` reads from files, each with its time and a stable id."""

import hashlib
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from logship.cli.importing.faults import Faults
from logship.cli.importing.lines import file_lines, stream_lines
from logship.cli.importing.parquet import parquet_rows
from logship.cli.importing.times import time_of
from logship.cli.times import zone
from logship.errors import QuestionError, StoreMissing
from logship.event.entry import event_id
from logship.search.pages import record_pages
from logship.search.query import Query

BATCH_RECORDS = 500
PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """One record to import. `dated`: False if it has no valid time, and `time_ns` is the time of the import."""

    time_ns: int
    fields: dict[str, Any]
    dated: bool


def read_file(file: str, faults: Faults) -> Iterator[FoundRecord]:
    """Yield the records of a file, of a store's directory, or of stdin (-). QuestionError if nothing of it can be read."""
    path = Path(file)
    if file == "-":
        return (_dated(record) for _, record in stream_lines(sys.stdin.buffer, "stdin", faults))
    if path.is_dir():
        return map(_dated, _store(path))
    with path.open("rb") as opened:
        is_parquet = opened.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    numbered = enumerate(parquet_rows(path), 1) if is_parquet else file_lines(path, faults)
    return _identified(numbered, str(path.resolve()))


def batches(records: Iterable[FoundRecord]) -> Iterator[list[FoundRecord]]:
    """Yield at most BATCH_RECORDS records at a time. If reading fails, the records before the failure come first."""
    batch: list[FoundRecord] = []
    try:
        for record in records:
            batch.append(record)
            if len(batch) >= BATCH_RECORDS:
                yield batch
                batch = []
    except QuestionError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _identified(numbered: Iterable[tuple[int, dict[str, Any]]], path: str) -> Iterator[FoundRecord]:
    """Give records without an id the same id at each import, so that a store keeps them once.

    The id is made of the file and the record's number in it. A file is a different one if its first record differs: log
    files are rotated."""
    incarnation = ""
    for number, fields in numbered:
        record = _dated(fields)
        incarnation = incarnation or _digest(path, fields)
        # Without its own time, a record has a different time at each import.
        if record.dated and not _has_id(fields):
            fields["event.id"] = event_id(incarnation, number)
        yield record


def _digest(path: str, first: dict[str, Any]) -> str:
    text = orjson.dumps([path, first], default=str, option=orjson.OPT_NON_STR_KEYS)
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def _has_id(fields: dict[str, Any]) -> bool:
    nested = fields.get("event")
    return bool(fields.get("event.id") or (isinstance(nested, dict) and nested.get("id")))


def _dated(fields: dict[str, Any]) -> FoundRecord:
    time_ns = time_of(fields)
    return FoundRecord(time.time_ns() if time_ns is None else time_ns, fields, time_ns is not None)


def _store(directory: Path) -> Iterator[dict[str, Any]]:
    from logship.store.read.reader import Reader

    reader = Reader(directory, zone=zone())
    try:
        for records in record_pages(reader, Query()):
            yield from records
    except StoreMissing:
        raise QuestionError(f"{directory} is not a store; to import its files, name them") from None
    finally:
        reader.close()
