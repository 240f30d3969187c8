"""`logship replay`."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from logship.cli.output import NOTHING
from logship.cli.replaying import dead_letters_option, replay_records
from logship.errors import QuestionError
from logship.search.query import Query, Record
from logship.settings import load

PARQUET_MAGIC = b"PAR1"
DEAD_LETTER_KEYS = {"status", "reason", "event"}


@click.command("replay")
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[FILE|DIR]...")
@click.option("--to", required=True, type=click.Choice(["elastic"]), help="Destination of the events")
@dead_letters_option
def replay(files: tuple[Path, ...], to: str, dead_letters: Path) -> int:
    """Copy events of a store, an NDJSON export or a dead-letter file into Elasticsearch.

    Default: the local store. Each event is created under its id, so that an interrupted or repeated replay stores it once.
    Exit status 1 if events were refused; they are appended to the dead-letter file."""
    settings = load()
    sources = files or (Path(settings.store_dir),)
    if dead_letters.exists() and any(source.exists() and source.samefile(dead_letters) for source in sources):
        raise QuestionError(
            f"{dead_letters} is replayed, and refused events would be appended to it: name another --dead-letters FILE"
        )
    return NOTHING if replay_records(settings, _records(sources), dead_letters, "replayed") else 0


def _records(sources: Iterable[Path]) -> Iterator[Record]:
    for source in sources:
        yield from _of_file(source) if source.is_file() else _of_store(source)


def _of_file(path: Path) -> Iterator[Record]:
    from logship.elastic.replay import from_lines

    with path.open("rb") as opened:
        if opened.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC:
            raise QuestionError(f"{path} is Parquet: export NDJSON instead, or import it into a store first")
    for line in from_lines(path):
        yield line["event"] if line.keys() == DEAD_LETTER_KEYS else line


def _of_store(directory: Path) -> Iterator[Record]:
    from logship.elastic.replay import from_source
    from logship.store.read.reader import Reader

    reader = Reader(directory)
    try:
        yield from from_source(reader, Query())
    finally:
        reader.close()
