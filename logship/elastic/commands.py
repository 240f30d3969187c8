"""`logship setup`, `logship replay` and `logship dead-letter`: what changes an Elasticsearch. `cli/main.py` adds `COMMANDS`.

Answers go to stdout, everything else to stderr. Status 0: done; 1: not done, or something was refused; errors are sentences.
What needs the client of Elasticsearch is imported when a command runs, so that --help works without it."""

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from logship.errors import QuestionError
from logship.search.query import Query, Record
from logship.settings import Settings, load

if TYPE_CHECKING:
    from logship.elastic.chunks import Chunk
    from logship.elastic.setup import Plan

F = TypeVar("F", bound=Callable[..., Any])
NOT_DONE: Final = 1
REFUSED: Final = "logship-refused.ndjson"
SAY_SECONDS: Final = 0.5
SAY_SECONDS_IN_A_FILE: Final = 10.0
SHOWN_REASONS: Final = 5
REASON_CHARACTERS: Final = 200
# Elasticsearch names the place, the document and its value in what it says.
PARTICULAR: Final = re.compile(
    r"^\[\d+:\d+\] | in document with id '[^']*'\.?( Preview of field's value: '.*?'(?=;|$))?", re.S
)
A_DEAD_LETTER: Final = {"status", "reason", "event"}


@click.command("setup")
@click.argument("what", type=click.Choice(["elastic"]))
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option(
    "--dashboards", metavar="FILE", type=click.Path(path_type=Path),
    help="What Kibana gets, if LOGSHIP_KIBANA_URL is set; else the dashboards that come with logship.",
)  # fmt: skip
@click.option("--reader-key", metavar="NAME", help="Also make an API key that may only read, and print it.")
def set_up(what: str, yes: bool, dry_run: bool, dashboards: Path | None, reader_key: str | None) -> int:
    """Put templates, roles and users into Elasticsearch, and dashboards into Kibana.

    `logship setup elastic` shows its plan first. Doing it twice is doing it once; what is not logship's is never
    overwritten. Address, user and passwords are settings: LOGSHIP_ELASTIC_*, LOGSHIP_KIBANA_URL."""
    from logship.elastic import access, mapping, setup
    from logship.elastic.client import connect

    settings = load()
    plans: list[Plan] = []

    def agree(plan: "Plan") -> bool:
        plans.append(plan)
        return _agree(plan, yes, dry_run)

    _talk(f"looking at {settings.elastic_url}" + (f" and {settings.kibana_url}" if settings.kibana_url else ""))
    agreed = setup.setup(settings, agree, lambda step: _talk(f"done: {step.path}"), dashboards or setup.DASHBOARDS)
    fine = agreed or not plans[0].changes
    if fine and not dry_run:
        _talk(f"{mapping.stream(settings.elastic_namespace)} is ready: a new index gets logship's mapping")
        if reader_key:
            with connect(settings) as client:
                click.echo(access.make_api_key(client, settings, access.READER, reader_key))
    return 0 if fine or dry_run else NOT_DONE


def _agree(plan: "Plan", yes: bool, dry_run: bool) -> bool:
    """Show the plan, and return whether it is to be done."""
    wide = max(len(step.path) for step in plan.steps)
    click.echo(f"Elasticsearch {plan.version or 'of unknown version'} at {plan.url}")
    for step in plan.steps:
        click.echo(f"  {step.change:6}  {step.path:{wide}}  {step.sentence}")
    for note in plan.notes:
        _talk(f"note: {note}")
    if not plan.changes:
        _talk("everything is as it should be")
        return False
    if yes or dry_run:
        return not dry_run
    if not sys.stdin.isatty():
        raise QuestionError("nobody is here to agree to it: --yes does it without asking, --dry-run only shows it")
    return click.confirm(f"Make {len(plan.changes)} changes?", err=True)


def _dead_letters(command: F) -> F:
    return click.option(
        "--dead-letters", default=REFUSED, show_default=True, metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path), help="Where what is refused goes, with the reason.",
    )(command)  # fmt: skip


def _to(command: F) -> F:
    return click.option("--to", required=True, type=click.Choice(["elastic"]), help="Where events go.")(command)


@click.command("replay")
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[FILE|DIR]...")
@_to
@_dead_letters
def play(files: tuple[Path, ...], to: str, dead_letters: Path) -> int:
    """Move events of a store, an NDJSON export or a file of dead letters into Elasticsearch.

    Without FILE or DIR: those of this machine's store. Each is created under its own id, so that interrupted and repeated
    it ends with each event once. Status 1 when some were refused; they lie in the file of dead letters."""
    settings = load()
    sources = files or (Path(settings.store_dir),)
    if dead_letters.exists() and any(one.exists() and one.samefile(dead_letters) for one in sources):
        raise QuestionError(
            f"{dead_letters} is read, and what is refused would be added to it: name another --dead-letters"
        )
    return NOT_DONE if _played(settings, _from_all(sources), dead_letters, "replayed") else 0


@click.command("dead-letter")
@click.argument("storage", type=click.Path(path_type=Path), metavar="STORAGE")
@click.option("--send", is_flag=True, help="Send their records to Elasticsearch, each under its own id.")
@click.option("--remove", is_flag=True, help="With --send: remove rejected files of which every record is stored.")
@_dead_letters
def dead_letter(storage: Path, send: bool, remove: bool, dead_letters: Path) -> int:
    """Show what Fluent Bit gave up or left behind below STORAGE, its storage.path, and send it again.

    Fluent Bit does not write down why Elasticsearch refused a record: --send asks again, and tells. What it left behind it
    delivers itself at its next start. Status 1 when there is something that is not stored."""
    from logship.elastic import chunks

    if remove and not send:
        raise QuestionError("--remove removes what --send has stored: say both")
    settings = load()
    found = [chunks.read(path) for path in chunks.find(storage)]
    for chunk in found:
        click.echo(_told(chunk))
    _talk(f"{len(found)} chunks, {sum(len(chunk.records) for chunk in found):,} records")
    if not send:
        return NOT_DONE if found else 0
    left = 0
    for chunk in found:
        refused = _played(settings, chunk.records, dead_letters, _clean(chunk.path.name))
        whole = not refused and not chunk.damaged_bytes and not chunk.bad_records
        left += not whole
        if remove and whole and chunk.rejected:
            chunk.path.unlink()
            _talk(f"removed {chunk.path}")
    return NOT_DONE if left else 0


def _told(chunk: "Chunk") -> str:
    """One line: which file, how much, and why it is there."""
    why = f"given up by the output {chunk.output}" if chunk.rejected else "left behind, not yet delivered"
    more = f", {chunk.bad_records} entries are no records" if chunk.bad_records else ""
    more += f", the last {chunk.damaged_bytes} bytes are torn" if chunk.damaged_bytes else ""
    times = sorted(record["@timestamp"] for record in chunk.records)
    span = f", {times[0]} to {times[-1]}" if times else ""
    return _clean(f"{chunk.path}: {len(chunk.records):,} records of {chunk.tag or 'no tag'}{span}: {why}{more}")


def _from_all(sources: Iterable[Path]) -> Iterator[Record]:
    """The records of stores, exports and files of dead letters, one after the other."""
    from logship.elastic.replay import from_lines, from_source
    from logship.store.read.reader import Reader

    for source in sources:
        if source.is_file():
            with source.open("rb") as begun:
                if begun.read(4) == b"PAR1":
                    raise QuestionError(f"{source} is Parquet: export NDJSON instead, or import it into a store first")
            yield from (line["event"] if line.keys() == A_DEAD_LETTER else line for line in from_lines(source))
        else:
            reader = Reader(source)
            try:
                yield from from_source(reader, Query())
            finally:
                reader.close()


def _played(settings: Settings, records: Iterable[Record], dead_letters: Path, verb: str) -> int:
    """Create these records, tell how far it is and what became of them, and return how many were refused."""
    from logship.elastic.client import connect
    from logship.elastic.replay import replay

    created = there = 0
    refused: Counter[str] = Counter()
    terminal = sys.stderr.isatty()
    began = told = time.monotonic()

    def say(end: str = "") -> None:
        text = f"{verb}: {created:,} new, {there:,} there already, {refused.total():,} refused{end}"
        sys.stderr.write(f"\r\x1b[K{text}" if terminal else f"{text}\n")

    with connect(settings) as client:
        for done in replay(client, settings, records, dead_letters):
            created, there = created + done.created, there + done.there_already
            refused.update(_reason(one.reason) for one in done.refused)
            if time.monotonic() - told > (SAY_SECONDS if terminal else SAY_SECONDS_IN_A_FILE):
                say()
                told = time.monotonic()
    say(f", in {time.monotonic() - began:.1f} s" + ("\n" if terminal else ""))
    for reason, count in refused.most_common(SHOWN_REASONS):
        _talk(f"  {count:,} refused: {reason}")
    if refused:
        _talk(f"they lie in {dead_letters}: mend them there, and replay that file")
    return refused.total()


def _reason(text: str) -> str:
    """The same for every document that is refused for the same."""
    return _clean(PARTICULAR.sub("", text))[:REASON_CHARACTERS]


def _clean(text: str) -> str:
    """What strangers wrote, fit for a terminal."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _talk(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


COMMANDS: Final = (set_up, play, dead_letter)
