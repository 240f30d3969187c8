"""Records sent to Elasticsearch, with progress and the reasons for which some were refused."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from logship.cli.output import talk
from logship.cli.terminal.progress import Progress
from logship.cli.terminal.text import clean
from logship.search.query import Record
from logship.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
REFUSED: Final = "logship-refused.ndjson"
SHOWN_REASONS, REASON_CHARACTERS = 5, 200
# The parts of a reason that differ for each document: its position, its id and the value.
PARTICULAR: Final = re.compile(
    r"^\[\d+:\d+\] | in document with id '[^']*'\.?( Preview of field's value: '.*?'(?=;|$))?", re.S
)


def dead_letters_option(command: F) -> F:
    """Add --dead-letters."""
    return click.option(
        "--dead-letters", default=REFUSED, show_default=True, metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path), help="Append refused events to FILE, with the reason",
    )(command)  # fmt: skip


def replay_records(settings: Settings, records: Iterable[Record], dead_letters: Path, label: str) -> int:
    """Create the records in Elasticsearch, each under its id, and return how many were refused."""
    from logship.elastic.client import connect
    from logship.elastic.replay import replay

    created = existing = 0
    reasons: Counter[str] = Counter()
    progress = Progress()

    def text() -> str:
        return f"{label}: {created:,} new, {existing:,} already stored, {reasons.total():,} refused"

    with connect(settings) as client:
        for batch in replay(client, settings, records, dead_letters):
            created, existing = created + batch.created, existing + batch.there_already
            reasons.update(_reason(refusal.reason) for refusal in batch.refused)
            progress.update(text())
    progress.end(f"{text()},")
    _report(reasons, dead_letters)
    return reasons.total()


def _report(reasons: Counter[str], dead_letters: Path) -> None:
    for reason, count in reasons.most_common(SHOWN_REASONS):
        talk(f"  {count:,} refused: {reason}")
    if reasons:
        talk(f"refused events are in {dead_letters}: fix them there, then replay that file")


def _reason(text: str) -> str:
    """The reason without the parts that differ for each document."""
    return clean(PARTICULAR.sub("", text))[:REASON_CHARACTERS]
