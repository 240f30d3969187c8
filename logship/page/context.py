"""What the process that serves the page tells it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from logship.page.guard import OPEN_ACCESS, Access
from logship.state.living import Living


@dataclass(frozen=True, slots=True)
class PageContext:
    """State of the process around the page. The functions are called for each request, in a thread.

    `health`: counters and gauges by name. `stopping`: whether the process is shutting down; streams end then. `access`:
    which clients may query. `unready`: why events are not accepted now, "" if they are. `live_workers`: the running
    workers of this machine, with their running requests. `state_dir`: the state directory of workers whose metrics are shown.
    `kibana_url`: where reports of incidents link to, "" without Kibana."""

    health: Callable[[], Mapping[str, object]] = dict
    stopping: Callable[[], bool] = lambda: False
    access: Access = OPEN_ACCESS
    unready: Callable[[], str] = str
    live_workers: Callable[[], Sequence[Living]] = tuple
    state_dir: Path | None = None
    kibana_url: str = ""


DEFAULT_CONTEXT = PageContext()
