"""`logship import`."""

import time

import click

from logship.cli.importing.faults import Faults
from logship.cli.importing.records import FoundRecord, batches, read_file
from logship.cli.importing.sink import Sink, StoreSink, sink_of
from logship.cli.importing.times import TIME_FIELDS
from logship.cli.output import INVALID, NOTHING, talk
from logship.cli.terminal.progress import Progress
from logship.connect.agent import AgentConnection
from logship.search.units import plural
from logship.settings import Settings, load


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True), metavar="FILE...")
@click.option(
    "--to", metavar="DIR|HOST:PORT",
    help="Import into this store, or send to this collector (Forward). Default: the local collector, else its store",
)  # fmt: skip
def import_(files: tuple[str, ...], to: str | None) -> int:
    """Import events from NDJSON (- is stdin), Parquet, files of `logship export`, or the directory of another store.

    Lines that cannot be read are named and skipped; the exit status is then 2. Importing a file again stores only new
    events: each event.id is stored once, and events without one get an id from the path of the file, its first line and
    their line number. Lines without a time, and lines without an id from stdin or a store, are stored each time."""
    settings = load()
    importing = _Import(sink_of(to, settings), settings)
    try:
        for file in files:
            importing.add(file)
        importing.seal()
    finally:
        importing.close()
    return importing.report()


class _Import:
    """One import: the records of files go to a sink and are counted."""

    def __init__(self, sink: Sink, settings: Settings) -> None:
        self._sink, self._faults, self._progress = sink, Faults(), Progress()
        self._read = self._stored = self._known = self._undated = self._old = 0
        self._days = settings.retention_days
        self._kept_from_ns = time.time_ns() - int(self._days * 86_400e9) if self._days else 0

    def add(self, file: str) -> None:
        """Import the records of one file; one that cannot be read is a fault."""
        with self._faults.of_a_file():
            for records in batches(read_file(file, self._faults)):
                self._put(records)

    def _put(self, records: list[FoundRecord]) -> None:
        self._undated += sum(not record.dated for record in records)
        self._old += sum(record.time_ns < self._kept_from_ns for record in records)
        new, known = self._sink.put([(record.time_ns, record.fields) for record in records])
        self._stored, self._known, self._read = self._stored + new, self._known + known, self._read + len(records)
        self._progress.update(f"read {self._read:,}")

    def seal(self) -> None:
        """Let queries of an imported store read sealed segments."""
        if isinstance(self._sink, StoreSink):
            self._sink.seal()

    def close(self) -> None:
        self._sink.close()

    def report(self) -> int:
        """Report what was imported, and return the exit status."""
        self._progress.end(f"read {self._read:,} events")
        if self._old and isinstance(self._sink, StoreSink):
            talk(
                f"warning: {plural(self._old, 'event')} older than {self._days:g} days: a collector of this store will delete"
                " them. Set LOGSHIP_RETENTION_DAYS=0 for it, or import into another directory with --to DIR"
            )
        if self._undated:
            names = ", ".join(TIME_FIELDS)
            talk(f"{plural(self._undated, 'event')} without a valid time in {names}: the time of the import is used")
        stored = "sent and acknowledged" if isinstance(self._sink, AgentConnection) else "new"
        talk(f"{self._stored:,} {stored}" + (f", {self._known:,} already stored" if self._known else ""))
        if self._faults.count:
            talk(str(self._faults))
            return INVALID
        return 0 if self._read else NOTHING
