"""`logship inflight`."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from logship.cli.columns import request_columns, with_service
from logship.cli.options import Window, make_query, source_option, window_options
from logship.cli.output import NOTHING, UNKNOWN, note, talk
from logship.cli.rows import Form, form_options, plain, show
from logship.cli.source import open_source
from logship.connect.source import local_workers
from logship.errors import SourceError
from logship.settings import load

if TYPE_CHECKING:
    from logship.forensics.inflight import Unfinished


@click.command()
@click.argument("worker", default="")
@window_options
@source_option
@form_options
def inflight(worker: str, source: str | None, form: Form | None, **window: Any) -> int:
    """List running requests, and requests that were interrupted by a crash of their worker.

    WORKER: a slot, a node, a pid or an incarnation. Running requests are visible on the machine of the workers and through
    its collector. Workers whose running requests are not visible are named, and the exit status is 4 instead of 1."""
    from logship.forensics.inflight import report, running

    query, now_ns = make_query(Window(**window)), time.time_ns()
    local = local_workers(load({"source": source}))
    try:
        result = report(open_source(source), query, local, now_ns, worker)
    except SourceError as error:
        requests = running((cell for one in local for cell in one.cells()), query, now_ns, worker)
        if not requests:
            raise
        talk(f"{error}; showing the running requests of this machine")
        _show(requests, form)
        return 0
    count = _show(result.requests, form)
    if result.sentence:
        (note if count else talk)(result.sentence)
    return 0 if count else UNKNOWN if result.not_visible else NOTHING


def _show(requests: "Sequence[Unfinished]", form: Form | None) -> int:
    return show(map(plain, requests), with_service(request_columns(), requests), form)
