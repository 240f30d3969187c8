"""`logship watch`."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from types import FrameType

import click

from logship.cli.options import service_option, source_option
from logship.cli.output import NOTHING, note
from logship.cli.rows import Form, json_option
from logship.cli.source import open_source
from logship.errors import QuestionError, SourceError
from logship.forensics.watch.notices import WebhookFormat
from logship.search.kql import equal
from logship.search.times import SECOND_NS, span
from logship.search.units import duration, plural
from logship.settings import load

LEAST_EVERY_NS = SECOND_NS


@click.command()
@click.option("--every", default="1m", metavar="DURATION", show_default=True, help="Time between two rounds")
@click.option("--once", is_flag=True, help="Do one round and exit, for cron")
@click.option("--webhook", metavar="URL", help="Also POST to this URL. Prefer LOGSHIP_WEBHOOK: command lines are visible in ps")
@click.option(
    "--format", "format_", type=click.Choice(["generic", "slack"]),
    help="Body of the POST. Default: slack for hooks.slack.com, else generic",
)  # fmt: skip
@click.option(
    "--memory", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="File that remembers what was reported. Default: in the state directory",
)  # fmt: skip
@service_option
@source_option
@json_option
def watch(
    every: str, once: bool, webhook: str | None, format_: WebhookFormat | None, memory: Path | None, service: str | None,
    source: str | None, form: Form | None,
) -> int:  # fmt: skip
    """Report the findings of logship incident as they begin and end, each once, until Ctrl-C.

    Compares the newest half hour with the hour before it in each round. What was reported is remembered in a small file, so that
    a restart does not repeat it. The end of a finding is reported when it has been over for 5 minutes. Notices that a webhook
    does not accept are kept and retried. Exit status with --once: 0 if something was reported, 1 if not, 3 if the
    source or the webhook failed."""
    from logship.cli.watching.memory_file import MemoryFile
    from logship.cli.watching.watcher import IncidentWatcher
    from logship.cli.watching.webhook import webhook as webhook_of

    every_ns = span(every)
    if every_ns < LEAST_EVERY_NS:
        raise QuestionError(f"--every {every} is too short: use at least {duration(LEAST_EVERY_NS)}")
    settings = load({"webhook": webhook})
    target = webhook_of(settings.webhook, format_) if settings.webhook else None
    file = MemoryFile(memory or Path(settings.state_dir) / _file_name(source, service))
    try:
        where = equal("service.name", service) if service else None
        watcher = IncidentWatcher(lambda: open_source(source), file, where, form == "json", target)
        if once:
            reported = watcher.round(time.time_ns())
            if watcher.outbox is not None and watcher.outbox.failing:
                raise SourceError(f"{plural(len(watcher.memory.outbox), 'notice')} not delivered, kept in {file.path}")
            return 0 if reported else NOTHING
        ongoing = sum(entry.reported and not entry.over for entry in watcher.memory.known)
        note(f"watching every {duration(every_ns)}, {plural(ongoing, 'finding')} not ended; memory in {file.path}; Ctrl-C stops")
        with _stopped_by_signals():
            watcher.run(every_ns)
    finally:
        file.close()
    return 0


def _file_name(source: str | None, service: str | None) -> str:
    """The memory of each source and service has its own file."""
    if source is None and service is None:
        return "watch.json"
    return f"watch-{blake2b(repr((source, service)).encode(), digest_size=6).hexdigest()}.json"


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """End the block in order when the user or the system stops the process."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
