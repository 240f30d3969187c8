"""Captures events in a list, without a journal on disk and without a thread.

def test_an_order_is_logged(client):
    with capture_events() as events:
        client.post("/orders")
    assert [event["message"] for event in events if event["event.dataset"] == "logship.app"] == ["order placed"]
    assert events[-1]["http.response.status_code"] == 201
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from logship.event import build
from logship.event.entry import SEQUENCE_KEY, unpack
from logship.settings import Settings, load
from logship.state.identity import Cell, Facts
from logship.state.journal import Journal
from logship.worker import assemble, configure, registry
from logship.worker.capture import install as capture
from logship.worker.pipeline import Pipeline
from logship.worker.server_info import ServerInfo

# Only one segment of the journal exists, and nothing is written to it.
LIMIT_BYTES = 1

Event = dict[str, Any]


@contextlib.contextmanager
def capture_events(**arguments: object) -> Iterator[list[Event]]:
    """Capture the events of this process until the block ends: log calls, stdlib records, and requests through RequestLog.

    Yields a list that grows with each event, oldest first. An event is a flat dict with the names of docs/events.md, as the
    agent would get it: redacted, cut and sampled. Events about the worker itself (worker-started and so on) are left out.
    `arguments`: settings as for `configure`; without any, those of the last `configure` call, else `LOGSHIP_*` and defaults.
    Captured events are not sent to the agent. All threads are captured, other processes are not. Blocks may be nested: the
    inner one captures. SettingsError names an invalid setting."""
    settings = _settings(arguments)
    journal = _EventList(settings)
    pipeline = _pipeline(settings, journal)
    with registry.replaced(pipeline), capture.at_level(settings.level):
        yield journal.events


def _settings(arguments: dict[str, object]) -> Settings:
    current = configure.current_settings()
    return load(arguments) if arguments or current is None else current


def _pipeline(settings: Settings, journal: "_EventList") -> Pipeline:
    worker = replace(assemble.worker_of(settings), incarnation=journal.incarnation, role="worker")
    pipeline = Pipeline(settings, journal, worker, None, "")
    pipeline.server = ServerInfo()  # no slot is claimed, and no timer is added to the event loop of a test
    return pipeline


class _EventList(Journal):
    """A journal in memory that unpacks each event into `events` and is never full."""

    __slots__ = ("events",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(None, Facts(service=settings.service), LIMIT_BYTES)
        self.events: list[Event] = []

    def append(self, parts: tuple[bytes, ...], reserved: bool = False) -> bool:
        with self.locked():
            number = self._sequence = self.cells[Cell.SEQUENCE] = self._sequence + 1
            stamp = (SEQUENCE_KEY, number.to_bytes(8, "big"), self._id_key, b"%012d" % number)
            time_ns, fields = unpack(b"".join((*parts, *stamp)))
            if fields.get("event.dataset") != build.WORKER:
                self.events.append({"@timestamp": build.time_text(time_ns), **fields})
        return True
