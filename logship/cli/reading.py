"""What `logship import` reads: the records of files as others write them, each with its time and a lasting id.

Files of others have bad lines, byte order marks, other encodings and times in many forms. One bad line costs itself only.
"""

import contextlib
import hashlib
import io
import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from logship.cli.source import zone
from logship.errors import KqlError, QuestionError, StoreMissing
from logship.event.entry import event_id
from logship.search.pages import record_pages
from logship.search.query import Query
from logship.search.times import interval

# Elsewhere the time has other names; the first of these that an object has is taken.
TIMES = ("@timestamp", "timestamp", "time", "ts")
BATCH_RECORDS = 500
# What a store takes is a sixteenth of it; more is not read into memory to find that out.
LINE_LIMIT_BYTES = 16 * 2**20
NAMED_FAULTS = 10
BOM = b"\xef\xbb\xbf"
# The longer marks first: that of UTF-32 begins as that of UTF-16 does.
_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_NUMBER = re.compile(r"\d{1,19}(?:\.\d{1,30})?(?:[eE]\+?\d{1,2})?")


@dataclass(frozen=True, slots=True)
class Found:
    """One record to import; `dated`: whether the time is its own."""

    time_ns: int
    record: dict[str, Any]
    dated: bool


@dataclass(slots=True)
class Faults:
    """What could not be read; the first ones are named."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, fault: str) -> None:
        self.count += 1
        if len(self.named) < NAMED_FAULTS:
            self.named.append(fault)

    @contextlib.contextmanager
    def of_a_file(self) -> Iterator[None]:
        """A file that cannot be read, or not to its end, is a fault; the others are read all the same."""
        try:
            yield
        except QuestionError as error:
            self.add(str(error))

    def __str__(self) -> str:
        more = f"; and {self.count - len(self.named):,} more" if self.count > len(self.named) else ""
        return f"left out, the rest is imported: {'; '.join(self.named)}{more}"


def records_of(file: str, faults: Faults) -> Iterator[Found]:
    """Yield the records of one file, a store's directory or - for stdin. QuestionError when none of it can be read."""
    path = Path(file)
    if file == "-":
        return (_found(record) for _, record in _lines(sys.stdin.buffer, "stdin", faults))
    if path.is_dir():
        return (_found(record) for record in _store(path))
    with path.open("rb") as begun:
        parquet = begun.read(4) == b"PAR1"
    numbered = enumerate(_parquet(path), 1) if parquet else _file(path, faults)
    return _identified(numbered, str(path.resolve()))


def _identified(numbered: Iterable[tuple[int, dict[str, Any]]], name: str) -> Iterator[Found]:
    """Give records without an id the same one at each import, so that a store keeps them once.

    The id is of the file and the number in it. A file is another one when it begins differently, for log files are rotated."""
    incarnation = ""
    for number, record in numbered:
        found = _found(record)
        incarnation = incarnation or _digest(name, record)
        # The time of an import is another one each time.
        if found.dated and not _has_id(record):
            record["event.id"] = event_id(incarnation, number)
        yield found


def _digest(name: str, record: dict[str, Any]) -> str:
    begins = orjson.dumps([name, record], default=str, option=orjson.OPT_NON_STR_KEYS)
    return hashlib.blake2b(begins, digest_size=12).hexdigest()


def _has_id(record: dict[str, Any]) -> bool:
    nested = record.get("event")
    return bool(record.get("event.id") or (isinstance(nested, dict) and nested.get("id")))


def _found(record: dict[str, Any]) -> Found:
    time_ns = time_of(record)
    return Found(time.time_ns() if time_ns is None else time_ns, record, time_ns is not None)


def _file(path: Path, faults: Faults) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as lines:
        yield from _lines(lines, str(path), faults)


def _lines(stream: io.BufferedReader | BinaryIO, name: str, faults: Faults) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_split(stream), 1):
        if line is None:
            faults.add(f"{name}, line {number} has more than {LINE_LIMIT_BYTES // 2**20} MiB")
            continue
        text = line.removeprefix(BOM)
        if not text.strip():
            continue
        try:
            record = _parsed(text)
        except orjson.JSONDecodeError as error:
            faults.add(f"{name}, line {number} is no JSON ({error})")
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            faults.add(f"{name}, line {number} is {type(record).__name__}, not an object")


def _split(stream: io.BufferedReader | BinaryIO) -> Iterator[bytes | None]:
    """Yield the lines in UTF-8, None for one that is too long."""
    start = stream.peek(4)[:4] if isinstance(stream, io.BufferedReader) else b""
    encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
    # Lines end where JSON lines do, not at each of Unicode's separators.
    text = io.TextIOWrapper(stream, encoding, errors="replace", newline="\n") if encoding else None

    def line() -> bytes:
        return text.readline(LINE_LIMIT_BYTES).encode("utf-8", "replace") if text else stream.readline(LINE_LIMIT_BYTES)

    try:
        while some := line():
            if some.endswith(b"\n") or len(some) < LINE_LIMIT_BYTES:
                yield some
                continue
            while some and not some.endswith(b"\n"):
                some = line()
            yield None
    finally:
        if text:
            text.detach()  # the stream is closed by who opened it


def _parsed(text: bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # Bytes of another encoding: as in what comes over the wire they become U+FFFD.
        replaced = text.decode("utf-8", "replace")
        if "\ufffd" not in replaced:
            raise
        return orjson.loads(replaced)


def _store(directory: Path) -> Iterator[dict[str, Any]]:
    from logship.store.read.reader import Reader

    reader = Reader(directory, zone=zone())
    try:
        for records in record_pages(reader, Query()):
            yield from records
    except StoreMissing:
        raise QuestionError(f"{directory} holds no store; files are imported one by one") from None
    finally:
        reader.close()


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import duckdb

    from logship.store.read.interrupt import interruptible
    from logship.store.schema import connect, quoted

    database = connect(512 * 2**20, 1)
    try:
        found = f"read_parquet({quoted(path)})"
        columns = database.execute(f"DESCRIBE SELECT * FROM {found}").fetchall()  # noqa: S608
        names = [column[0] for column in columns if column[0] != "_n"]
        # Python's datetime has no nanoseconds, so times travel as numbers.
        read = ", ".join(_read_column(column[0], column[1]) for column in columns if column[0] != "_n")
        select = f"SELECT {read} FROM {found}"  # noqa: S608 - quoted names of the file's own columns
        rows = interruptible(database, lambda: database.execute(select))
        while some := interruptible(database, lambda: rows.fetchmany(BATCH_RECORDS)):
            for row in some:
                yield {name: value for name, value in zip(names, row, strict=True) if value is not None}
    except duckdb.Error as error:
        raise QuestionError(f"{path} is no Parquet file that can be read: {error}") from None
    finally:
        database.close()


def _read_column(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    return f"epoch_ns({quoted})" if kind.startswith("TIMESTAMP") else quoted


def time_of(record: dict[str, Any]) -> int | None:
    """Return the time of a record in nanoseconds since 1970, None when it has none that can be read."""
    for name in TIMES:
        value = record.get(name)
        if isinstance(value, bool) or value is None:
            continue
        with contextlib.suppress(QuestionError, KqlError, ValueError, OverflowError):
            if isinstance(value, int | float):
                return _epoch(Decimal(repr(value)))
            text = str(value).strip()
            if _NUMBER.fullmatch(text):
                with contextlib.suppress(ValueError):
                    return _epoch(Decimal(text))
            return interval(text, 0, zone(), allow_math=False)[0]
    return None


def _epoch(value: Decimal) -> int:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size: 1973 to 2286.

    A float is read as the shortest decimal that means it: 1700000000.123 has 123 milliseconds and no more."""
    for power in (9, 6, 3, 0):
        ns = value.scaleb(power)
        if 10**17 <= ns < 10**19:
            return int(ns)
    raise ValueError(value)
