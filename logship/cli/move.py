"""Events out of a store and into one: `logship export` and `logship import`, in constant memory."""

import contextlib
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, cast

import click

from logship.cli.ask import NOTHING
from logship.cli.reading import BATCH_RECORDS, TIMES, Faults, Found, records_of
from logship.cli.screen import control
from logship.cli.show import Enough, talk
from logship.cli.source import (
    Entries,
    Forward,
    Window,
    hint,
    kql_argument,
    listens,
    make_query,
    nothing_found,
    open_source,
    source_option,
    window_options,
)
from logship.errors import LogshipError, QuestionError
from logship.search import formats
from logship.search.pages import column_names, record_pages
from logship.search.query import Record
from logship.settings import Settings, host_and_port, load

Format = Literal["ndjson", "csv", "parquet"]
FORMATS = {".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "ndjson", ".csv": "csv", ".parquet": "parquet"}
SAY_SECONDS = 0.5
WRONG = 2


class Progress:
    """How far it is, on stderr: one line that is written over on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, verb: str, total: int | None, *, beside_rows: bool = False) -> None:
        """`beside_rows`: the same terminal shows rows, between which no line can be written over."""
        self.done = 0
        self._verb, self._total, self._terminal = verb, total, sys.stderr.isatty() and not beside_rows
        self._began = time.monotonic()
        self._next = self._began + (SAY_SECONDS if self._terminal else 10.0)

    def add(self, events: int) -> None:
        self.done += events
        if time.monotonic() >= self._next:
            part = f" of {self._total:,}, {self.done / self._total:.0%}" if self._total else ""
            self._say(f"{self._verb} {self.done:,}{part}")
            self._next = time.monotonic() + (SAY_SECONDS if self._terminal else 10.0)

    def end(self, more: str = "") -> None:
        seconds = time.monotonic() - self._began
        self._say(f"{self._verb} {self.done:,} events in {seconds:.1f} s{more}")
        if self._terminal:
            sys.stderr.write("\n")

    def _say(self, text: str) -> None:
        if self._terminal:
            control("\r\x1b[K", sys.stderr)
        sys.stderr.write(text if self._terminal else f"{text}\n")
        sys.stderr.flush()


@click.command()
@kql_argument
@click.option(
    "--format", "form", type=click.Choice(["ndjson", "csv", "parquet"]), help="Else what FILE's name ends in."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Instead of stdout.")
@window_options
@source_option
def export(kql: str, form: Format | None, output: str | None, source: str | None, **window: Any) -> int:
    """Write every event that matches, oldest first, as NDJSON, CSV or Parquet.

    Memory stays the same however many there are. CSV cells that a spreadsheet would run as a formula begin with '."""
    query = make_query(Window(kql, **window))
    # What arrives from now on is left to the next export, so that this one ends.
    query = replace(query, until_ns=query.until_ns if query.until_ns is not None else time.time_ns())
    form = form or _form_of(output)
    if form == "parquet" and output is None:
        raise QuestionError("Parquet has its index at the end and cannot be streamed; name a file with --output")
    asked = open_source(source)
    total = asked.count(query)
    hint(asked, query)
    if not total:
        talk(nothing_found(asked, query))
        return NOTHING
    progress = Progress("exported", total, beside_rows=output is None and sys.stdout.isatty())
    heads = column_names(asked) if form == "csv" else []
    pages = _counted(record_pages(asked, query), progress)
    if output is None:
        try:
            terminal = sys.stdout.isatty()
            left_out = _write_text(pages, heads, cast(BinaryIO, _Shown()) if terminal else sys.stdout.buffer)
            sys.stdout.flush()
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise Enough from None
    else:
        left_out = _write_file(pages, heads, Path(output), form)
    progress.end(f", {left_out} values had no column: their field came up meanwhile" if left_out else "")
    return 0


def _form_of(output: str | None) -> Format:
    suffix = Path(output or "x.ndjson").suffix.lower()
    if suffix not in FORMATS:
        raise QuestionError(f"{suffix or output} says nothing of a format; give --format ndjson, csv or parquet")
    return FORMATS[suffix]  # type: ignore[return-value]


def _counted(pages: Iterable[list[Record]], progress: Progress) -> Iterator[list[Record]]:
    for records in pages:
        yield records
        progress.add(len(records))


class _Shown:
    """stdout for bytes, as a terminal may take them."""

    def write(self, data: bytes) -> int:
        return sys.stdout.write(data.decode("utf-8", "replace"))


def _write_text(pages: Iterable[list[Record]], heads: list[str], to: BinaryIO) -> int:
    """Write CSV under `heads`, or NDJSON without any; returns how many values had no column."""
    table = formats.Csv(heads)
    if heads:
        to.write(table.head())
    for records in pages:
        to.write(table.rows(records) if heads else formats.ndjson(records))
    return table.left_out


def _write_file(pages: Iterable[list[Record]], heads: list[str], path: Path, form: Format) -> int:
    """The whole file or none: it has its name when it is complete. A device or a pipe is written as it is."""
    path = path.resolve()  # what a link leads to, not the link
    unfinished = path.with_name(f".{path.name}.part")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            if form == "parquet":
                raise QuestionError(f"{path} is no file, and Parquet needs one; give --format ndjson or csv")
            with path.open("wb") as device:
                return _write_text(pages, heads, device)
        if form == "parquet":
            left_out = 0
            _write_parquet(pages, unfinished)
        else:
            with unfinished.open("wb") as file:
                left_out = _write_text(pages, heads, file)
        unfinished.chmod(0o600)  # as private as the store
        unfinished.replace(path)
    except OSError as error:
        raise QuestionError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return left_out


def _write_parquet(pages: Iterable[list[Record]], path: Path) -> None:
    """By way of compressed NDJSON beside it, so that no more than a row group is in memory.

    Version 1 pages: other readers do not all know what DuckDB writes for version 2."""
    import zstandard

    from logship.store.read.interrupt import interruptible
    from logship.store.schema import COLUMNS, LINE_LIMIT_BYTES, POSITION, connect, quoted
    from logship.store.write.maintenance import MEMORY_LIMIT_BYTES
    from logship.store.write.parquet import ROW_GROUP_ROWS

    columns = {name: kind for name, kind in COLUMNS.items() if name != POSITION}
    struct_text = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items()) + "}"
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".ndjson.zst") as spool:
        with zstandard.ZstdCompressor(1).stream_writer(spool, closefd=False) as text:
            for records in pages:
                text.write(formats.ndjson(records))
        spool.flush()
        database = connect(MEMORY_LIMIT_BYTES, 1)
        try:
            copy = (
                f"COPY (SELECT * FROM read_json({quoted(spool.name)}, format = 'newline_delimited',"  # noqa: S608
                f" compression = 'zstd', maximum_object_size = {2 * LINE_LIMIT_BYTES}, columns = {struct_text}))"
                f" TO {quoted(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
            )
            interruptible(database, lambda: database.execute(copy))
        finally:
            database.close()


class Sink(Protocol):
    """Where imported events go; durable when `put` returns."""

    def put(self, entries: Entries) -> tuple[int, int]:
        """Return how many were new and how many were there before; of a collector: all are taken for new."""
        ...

    def close(self) -> None: ...


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True), metavar="FILE...")
@click.option(
    "--to", metavar="DIR|HOST:PORT", help="A store's directory, or a collector (Forward); else ours, running or not."
)
def import_(files: tuple[str, ...], to: str | None) -> int:
    """Take events in: NDJSON (- is stdin), Parquet, what `logship export` wrote, or the directory of another store.

    Lines that cannot be read are named and left out; the status is 2 then. Importing a file again stores only what is new:
    an event.id is stored once, and lines without one are known by the path of the file, its first line and their number.
    Lines without a time, and what has no id on stdin or in a store's directory, are stored each time."""
    settings = load()
    sink = _sink(to, settings)
    stored = known = undated = old_events = 0
    kept_from_ns = time.time_ns() - int(settings.retention_days * 86_400e9) if settings.retention_days else 0
    progress, faults = Progress("read", None), Faults()
    try:
        for file in files:
            with faults.of_a_file():
                for entries in _batches(records_of(file, faults)):
                    undated += sum(not one.dated for one in entries)
                    old_events += sum(one.time_ns < kept_from_ns for one in entries)
                    new, old = sink.put([(one.time_ns, one.record) for one in entries])
                    stored, known = stored + new, known + old
                    progress.add(len(entries))
        if isinstance(sink, _Own):
            sink.seal()
    finally:
        sink.close()
    progress.end()
    if old_events and isinstance(sink, _Own):
        talk(
            f"warning: {old_events:,} events are older than {settings.retention_days:g} days: a collector of this store removes "
            "them. Set LOGSHIP_RETENTION_DAYS=0 for it, or import into another directory with --to DIR"
        )
    if undated:
        talk(
            f"{undated:,} had no time that can be read under any of {', '.join(TIMES)}; they have that of their import"
        )
    talk(
        f"{stored:,} {'sent and acknowledged' if isinstance(sink, Forward) else 'new'}"
        + (f", {known:,} were here" if known else "")
    )
    if faults.count:
        talk(f"{faults}")
        return WRONG
    return 0 if progress.done else NOTHING


def _sink(to: str | None, settings: Settings) -> Sink:
    if to is None:
        if settings.forward != "off" and listens(*host_and_port(settings.forward, "forward")):
            return Forward(settings.forward, settings)
        to = settings.store_dir
    elif re.fullmatch(r"(?:tls://)?[^/]*:\d+", to) or to.startswith("unix://"):
        return Forward(to, settings)
    return _Own(Path(to))


class _Own:
    """A store that no collector writes now."""

    def __init__(self, directory: Path) -> None:
        from logship.store.write.store import Store

        self._store = Store(directory)

    def put(self, entries: Entries) -> tuple[int, int]:
        became = self._store.append(entries)
        if became.dead:
            talk(f"{became.dead} fit nowhere and lie in the dead-letter file of the store")
        return became.stored, became.duplicates

    def seal(self) -> None:
        """Spare who asks the logs; what an import that was broken off leaves, the next writer seals."""
        with contextlib.suppress(LogshipError):
            self._store.seal()

    def close(self) -> None:
        self._store.close()


def _batches(records: Iterable[Found]) -> Iterator[list[Found]]:
    """At most 500 at a time; those before a file that cannot be read on come before its error."""
    held: list[Found] = []
    try:
        for record in records:
            held.append(record)
            if len(held) >= BATCH_RECORDS:
                yield held
                held = []
    except QuestionError:
        if held:
            yield held
        raise
    if held:
        yield held
