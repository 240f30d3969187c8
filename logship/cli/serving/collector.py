"""`logship up`: collector, store, adoption of orphaned journals, and page in one process and one event loop."""

import asyncio
import contextlib
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from logship.cli.output import talk
from logship.cli.rows import Form
from logship.cli.serving.access import access, listen, url_of
from logship.cli.serving.announce import announce_collector
from logship.cli.serving.health import health
from logship.cli.serving.lifetime import run_until, stop_on_signals, task_failure, thread_failure
from logship.cli.serving.page import QUERY_SECONDS, page_server
from logship.cli.times import zone
from logship.settings import Settings

if TYPE_CHECKING:
    from logship.cli.serving.http import Server
    from logship.store.read.reader import Reader
    from logship.store.write.store import Store


async def serve_collector(settings: Settings, adopt: bool, form: Form | None) -> None:
    """Collect, store and answer queries until a signal arrives. `adopt`: take over journals of any agent."""
    with contextlib.ExitStack() as closing:
        listener = listen(settings.http) if settings.http != "off" else None
        if listener is not None:
            closing.callback(listener.close)
        store = _store(settings)
        closing.callback(store.close)
        reader = _reader(settings)
        closing.callback(reader.close)
        await _collect(settings, adopt, form, store, reader, listener)


def _store(settings: Settings) -> "Store":
    from logship.store.write.store import Store

    return Store(
        settings.store_dir,
        retention_days=settings.retention_days,
        retention_bytes=settings.retention_bytes,
        retention_disk_percent=settings.retention_disk_percent,
        integrity_key_file=settings.integrity_key_file,
    )


def _reader(settings: Settings) -> "Reader":
    from logship.store.read.reader import Reader

    key_file = settings.integrity_key_file
    return Reader(settings.store_dir, zone=zone(), limit_seconds=QUERY_SECONDS, integrity_key_file=key_file)


async def _collect(
    settings: Settings, adopt: bool, form: Form | None, store: "Store", reader: "Reader", listener: socket.socket | None
) -> None:
    from logship.collector.adopt import Adopter
    from logship.collector.serve import Collector
    from logship.page.context import PageContext
    from logship.state.living import living

    stop = stop_on_signals()
    collector = Collector(settings, store)
    await collector.start()
    adopter = Adopter(Path(settings.state_dir), collector.addresses, collector.append, adopt)
    adopting = asyncio.create_task(adopter.run(), name="logship adopt")
    try:
        announce_collector(settings, collector.addresses, url_of(listener, settings) if listener else None, form)
        directory = Path(settings.store_dir)
        server: Server | None = None
        counters = partial(health, collector, store, directory, lambda: server.refused_total if server else 0)
        live_workers = partial(living, Path(settings.state_dir))
        context = PageContext(
            counters, stop.is_set, access(settings), collector.unready, live_workers, Path(settings.state_dir),
            settings.kibana_url,
        )  # fmt: skip
        server = page_server(reader, context, settings)
        await run_until(stop, [collector.broken(), task_failure(adopting), thread_failure()], server, listener)
    finally:
        talk("stopping: received events are stored and acknowledged first")
        adopting.cancel()
        await asyncio.gather(adopting, return_exceptions=True)
        await collector.stop()
