"""`logship up`: collector, store and page in one process and one event loop, put together here."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from logship.cli.show import Form, show, talk
from logship.errors import ListenError, SettingsError
from logship.settings import Settings, host_and_port, load

if TYPE_CHECKING:
    import uvicorn

    from logship.collector.serve import Collector
    from logship.search.query import Source

BACKLOG = 256
# Streams end by themselves when the process does; a client that reads nothing is not waited for longer.
PAGE_STOP_SECONDS = 2


@click.command()
@click.option("--dir", "store_dir", type=click.Path(file_okay=False), metavar="DIR", help="Where events are kept.")
@click.option("--forward", metavar="HOST:PORT", help="Where events come in (127.0.0.1:24224); off: nowhere.")
@click.option("--unix", metavar="PATH", help="A unix socket where events come in as well.")
@click.option("--http", metavar="HOST:PORT", help="Where questions are answered (127.0.0.1:24280); off: nowhere.")
@click.option("--adopt", is_flag=True, help="Take in the journals of every dead worker here, whatever agent it had.")
@click.option("--json", "form", flag_value="json", help="Say where it listens as one JSON object on stdout.")
def up(
    store_dir: str | None, forward: str | None, unix: str | None, http: str | None, adopt: bool, form: Form | None
) -> int:
    """Collect events from workers, keep them, and answer questions, until stopped."""
    settings = load({"store_dir": store_dir, "forward": forward, "unix": unix, "http": http})
    _check(settings)
    # Before anything is opened: a package that is not installed is told first.
    import uvicorn  # noqa: F401

    import logship.page.app
    import logship.store.store  # noqa: F401

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    logging.getLogger("logship").setLevel(logging.INFO)
    asyncio.run(_serve(settings, adopt, form))
    return 0


async def _serve(settings: Settings, adopt: bool, form: Form | None) -> None:
    from logship.cli.source import local_zone
    from logship.collector.adopt import Adopter
    from logship.collector.serve import Collector
    from logship.store.reader import Reader
    from logship.store.store import Store

    with contextlib.ExitStack() as closing:
        listener = _listen(settings.http) if settings.http != "off" else None
        if listener is not None:
            closing.callback(listener.close)
        store = Store(
            settings.store_dir, retention_days=settings.retention_days, retention_bytes=settings.retention_bytes
        )
        closing.callback(store.close)
        reader = Reader(settings.store_dir, zone=local_zone())
        closing.callback(reader.close)
        stop = _stop_on_signals()
        collector = Collector(settings, store)
        await collector.start()
        adopter = Adopter(Path(settings.state_dir), collector.addresses, collector.append, adopt)
        adopting = asyncio.create_task(adopter.run(), name="logship adopt")
        try:
            _say_where(settings, collector.addresses, listener, form)
            await _until(stop, collector, _page(settings, reader, collector, stop), listener)
        finally:
            talk("stopping: what is here is stored and acknowledged first")
            adopting.cancel()
            await asyncio.gather(adopting, return_exceptions=True)
            await collector.stop()


async def _until(
    stop: asyncio.Event, collector: "Collector", server: "uvicorn.Server", listener: socket.socket | None
) -> None:
    """Return when `stop` is set; raise when a part ends by itself."""
    tasks = [asyncio.create_task(stop.wait()), asyncio.create_task(collector.broken())]
    page = asyncio.create_task(server.serve([listener])) if listener is not None else None
    try:
        done, _ = await asyncio.wait([*tasks, page] if page else tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        server.should_exit = True
        for task in tasks:
            task.cancel()
        if page is not None:
            await page


def _page(settings: Settings, reader: "Source", collector: "Collector", stop: asyncio.Event) -> "uvicorn.Server":
    import uvicorn

    from logship.page.app import Around, app

    class Server(uvicorn.Server):
        """Leaves the signals to us: the page stops together with the collector."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    host, _ = host_and_port(settings.http, "http") if settings.http != "off" else ("", 0)
    around = Around(collector.health, stop.is_set, settings.token, (host, socket.gethostname()))
    config = uvicorn.Config(
        app(reader, around),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=PAGE_STOP_SECONDS,
    )
    return Server(config)


def _stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT; the second one of them ends the process at once."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def begin() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, begin)
    return stop


def _listen(text: str) -> socket.socket:
    from logship.collector.listen import why_not

    host, port = host_and_port(text, "http")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ListenError(f"{why_not(text, error)} with --http HOST:PORT") from error


def _check(settings: Settings) -> None:
    """Refuse to answer strangers, and say it when strangers may send."""
    if settings.http != "off" and not settings.token and not _is_loopback(host_and_port(settings.http, "http")[0]):
        raise SettingsError(
            f"http {settings.http} is open to other machines; set LOGSHIP_TOKEN to a secret of your own first"
        )
    if settings.forward == "off" and not settings.unix and settings.http == "off":
        raise SettingsError("forward and http are off and unix is not set: there is nothing to do")
    if settings.forward != "off":
        host, _ = host_and_port(settings.forward, "forward")
        if not settings.collector_shared_key and not _is_loopback(host):
            talk(
                f"warning: whoever reaches {settings.forward} can send events; LOGSHIP_COLLECTOR_SHARED_KEY asks for a key"
            )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say_where(settings: Settings, addresses: list[str], listener: socket.socket | None, form: Form | None) -> None:
    from logship.collector.listen import address

    url = f"http://{address(listener)}" if listener is not None else None
    if form == "json":
        show([{"forward": addresses, "http": url, "store": settings.store_dir}], (), "json")
        sys.stdout.flush()
        return
    talk(f"collecting  {', '.join(addresses) or 'nothing'}")
    talk(f"answering   {url or 'nobody'}")
    talk(f"keeping in  {settings.store_dir}")
    talk("\nnext, in another terminal:")
    talk("  logship run uvicorn shop:app --workers 4     your service, without a change of code")
    talk("  logship tail                                 events as they arrive")
    talk("  logship workers                              what each worker does\n")
