"""`logship level`."""

import time
from pathlib import Path
from typing import Any

import click

from logship.cli.output import NOTHING, talk
from logship.cli.rows import Form, form_options, show
from logship.cli.terminal.table import Column
from logship.errors import StateUnusable
from logship.search.times import rfc3339, span
from logship.settings import LEVELS, load
from logship.state import levels
from logship.state.levels import LevelOverride
from logship.state.living import Living, living

COLUMNS = (
    Column("Service", "service"),
    Column("Worker", "slot", lambda slot: "-" if slot is None else f"w{slot}"),
    Column("PID", "pid", right=True),
    Column("Level", "level", lambda name: name or "as before"),
    Column("Until", "until", lambda until: until or "-"),
)


@click.command()
@click.argument("name", metavar="LEVEL", type=click.Choice([*LEVELS, "reset"]))
@click.option("--for", "lasting", default="10m", metavar="DURATION", show_default=True, help="How long, e.g. 90s, 10m, 1h")
@click.option("--service", default="", metavar="NAME", help="Only workers of this service")
@click.option("--slot", type=click.IntRange(min=0), metavar="N", help="Only the worker with this number")
@form_options
@click.option("--logger", default="", metavar="NAME", help="Only this logger of the standard library and those below it")
def level(name: str, lasting: str, service: str, slot: int | None, logger: str, form: Form | None) -> int:
    """Change the log level of running workers of this machine for a while; `reset` restores it at once.

    Workers follow within two seconds, and record the change and its end as events."""
    now_ns = time.time_ns()
    until_ns = now_ns if name == "reset" else now_ns + span(lasting)
    state = Path(load().state_dir)
    try:
        levels.add(state, LevelOverride("info" if name == "reset" else name, until_ns, service, slot, logger), now_ns)
    except (StateUnusable, OSError) as error:
        raise click.UsageError(f"cannot write to the state directory {state}: {error}") from error
    workers = [
        worker for worker in living(state) if service in ("", worker.service) and slot in (None, worker.slot)
    ]
    if not workers:
        talk("no live worker of this machine matches; workers that start before the end will follow")
        return NOTHING
    until = "" if name == "reset" else rfc3339(until_ns)
    show([_row(worker, "" if name == "reset" else name, until) for worker in workers], COLUMNS, form)
    return 0


def _row(worker: Living, name: str, until: str) -> dict[str, Any]:
    return {
        "service": worker.service, "slot": worker.slot, "pid": worker.pid, "level": name, "until": until,
    }  # fmt: skip
