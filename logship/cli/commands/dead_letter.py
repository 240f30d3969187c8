"""`logship dead-letter`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from logship.cli.output import NOTHING, say, talk
from logship.cli.replaying import dead_letters_option, replay_records
from logship.cli.terminal.text import clean
from logship.errors import QuestionError
from logship.search.units import plural
from logship.settings import Settings, load

if TYPE_CHECKING:
    from logship.elastic.chunks import Chunk


@click.command("dead-letter")
@click.argument("storage", type=click.Path(path_type=Path), metavar="STORAGE")
@click.option("--send", is_flag=True, help="Send the records to Elasticsearch, each under its id")
@click.option("--remove", is_flag=True, help="With --send: remove rejected files whose records are all stored")
@dead_letters_option
def dead_letter(storage: Path, send: bool, remove: bool, dead_letters: Path) -> int:
    """Show the records that Fluent Bit could not deliver or has not delivered yet, and send them again.

    STORAGE: the storage.path of Fluent Bit. Fluent Bit does not record why Elasticsearch refused a record: --send tries
    again and shows the reason. Records that are not delivered yet are delivered by Fluent Bit at its next start. Exit status 1
    if records are not stored."""
    from logship.elastic import chunks

    if remove and not send:
        raise QuestionError("--remove needs --send: it removes the files that --send has stored")
    settings = load()
    found = [chunks.read(path) for path in chunks.find(storage)]
    for chunk in found:
        say(_described(chunk))
    talk(f"{plural(len(found), 'chunk')}, {plural(sum(len(chunk.records) for chunk in found), 'record')}")
    if send:
        found = [chunk for chunk in found if not _sent(chunk, settings, dead_letters, remove)]
    return NOTHING if found else 0


def _described(chunk: "Chunk") -> str:
    """One line: the file, its records, and why it is there."""
    reason = f"not delivered by the output {chunk.output}, which has stopped trying" if chunk.rejected else "not yet delivered"
    damage = f", {chunk.bad_records} entries are not records" if chunk.bad_records else ""
    damage += f", the last {chunk.damaged_bytes} bytes are incomplete" if chunk.damaged_bytes else ""
    times = sorted(record["@timestamp"] for record in chunk.records)
    span = f", {times[0]} to {times[-1]}" if times else ""
    records = f"{plural(len(chunk.records), 'record')} of {chunk.tag or 'no tag'}"
    return clean(f"{chunk.path}: {records}{span}: {reason}{damage}")


def _sent(chunk: "Chunk", settings: Settings, dead_letters: Path, remove: bool) -> bool:
    """Send the records of a file, and return whether all of them are stored."""
    refused = replay_records(settings, chunk.records, dead_letters, clean(chunk.path.name))
    complete = not refused and not chunk.damaged_bytes and not chunk.bad_records
    if remove and complete and chunk.rejected:
        chunk.path.unlink()
        talk(f"removed {chunk.path}")
    return complete
