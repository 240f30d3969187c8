"""Commands that run something until they are stopped.

`logship up`: collector, store and page in one process and one event loop, put together here. `logship page`: the page
alone, over any source. `logship run`: a server with `logship.auto` in each of its processes, and not one line of its code
changed; its output is inherited, signals that we get are its signals, and its end is ours."""

import asyncio
import contextlib
import logging
import os
import resource
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from logship.cli.show import Form, show, talk
from logship.cli.source import PLACES, WHERE, living_here, open_source, zone
from logship.errors import ListenError, SettingsError, StoreError
from logship.settings import Settings, child_environment, host_and_port, inherited, is_loopback, load
from logship.wire.address import has_address, parse_address

if TYPE_CHECKING:
    from logship.cli.serving import Server
    from logship.collector.serve import Collector
    from logship.page.context import PageContext
    from logship.page.guard import Access
    from logship.search.query import Source
    from logship.store.write.store import Store

# A question that takes longer is cancelled: the next one, and the collector beside it, need the cores.
QUESTION_SECONDS = 20.0
# Values of LOGSHIP_AGENT that are no address.
INJECT = Path(__file__).parent / "inject"
NOT_RUNNABLE, NOT_FOUND = 126, 127  # what a shell answers
# These cannot be caught, or are about ourselves: faults, and what the kernel says of our own child.
OURS = {signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP}
TERMINAL = {
    signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH, signal.SIGHUP,
}  # fmt: skip
NEXT = """
next, in another terminal:
  logship run uvicorn shop:app --workers 4     your service, without a change of code
  logship tail                                 events as they arrive
  logship workers                              what each worker does
"""
# struct siginfo_t: the kernel itself sent it, as it does for the keys of a terminal.
SI_KERNEL = 0x80


HTTP = click.option("--http", metavar="HOST:PORT", help='HTTP address (127.0.0.1:24280); "off" disables it')
TOKEN = click.option(
    "--token",
    metavar="TEXT",
    help="Bearer token clients must send. Prefer LOGSHIP_TOKEN: command lines are visible in ps",
)
HOSTS = click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    callback=lambda _context, _parameter, given: given or None,
    help="Host name under which HTTP is answered, such as logs.example or *.example; repeatable",
)
CERT = click.option("--http-cert-file", metavar="FILE", help="Certificate chain (PEM): HTTP then speaks TLS only")
KEY = click.option("--http-key-file", metavar="FILE", help="Private key (PEM) of that certificate")
JSON = click.option("--json", "form", flag_value="json", help="Say where it listens as one JSON object on stdout.")


@click.command()
@click.option("--dir", "store_dir", type=click.Path(file_okay=False), metavar="DIR", help="Where events are kept.")
@click.option("--forward", metavar="HOST:PORT", help="Where events come in (127.0.0.1:24224); off: nowhere.")
@click.option("--unix", metavar="PATH", help="A unix socket where events come in as well.")
@HTTP
@TOKEN
@HOSTS
@CERT
@KEY
@click.option("--adopt", is_flag=True, help="Take in the journals of every dead worker here, whatever agent it had.")
@JSON
def up(adopt: bool, form: Form | None, **given: object) -> int:
    """Collect events from workers, keep them, and answer questions, until stopped."""
    settings = load(given)
    _check(settings)
    # Before anything is opened: a package that is not installed is told first.
    import uvicorn  # noqa: F401

    import logship.page.app
    import logship.store.write.store  # noqa: F401
    from logship.state.home import make_directory

    _speak()
    # Whatever lies below it is of its user alone; a directory that is there already is left as it is.
    with contextlib.suppress(OSError):
        make_directory(Path(settings.state_dir))
    asyncio.run(_serve(settings, adopt, form))
    return 0


@click.command()
@click.option("--source", metavar=PLACES, help=WHERE)
@HTTP
@TOKEN
@HOSTS
@CERT
@KEY
@JSON
def page(form: Form | None, source: str | None, **given: object) -> int:
    """Answer questions from any source, over HTTP and in a browser, until stopped.

    For example a store that no collector writes any more: logship page --source /srv/old-store"""
    settings = load({"source": source, "forward": "off", **given})
    if settings.http == "off":
        raise SettingsError("http is off: there is nothing to do")
    _check(settings)
    asked = open_source(source, QUESTION_SECONDS)
    asked.oldest_ns()  # that it cannot be reached is told before anything listens
    _speak()
    asyncio.run(_answer(settings, asked, form))
    return 0


async def _answer(settings: Settings, asked: "Source", form: Form | None) -> None:
    from logship.page.context import PageContext

    stop = _stop_on_signals()
    with contextlib.closing(_listen(settings.http)) as listener:
        context = PageContext(stopping=stop.is_set, access=_access(settings), live_workers=partial(living_here, settings))
        server = _page(asked, context, settings)
        if form == "json":
            _json({"http": _url(listener, settings)})
        else:
            talk(f"HTTP        {_url(listener, settings)}")
        await _until(stop, [], server, listener)


def _speak() -> None:
    """Our own log on stderr, as sentences; what is wrong has its level in front."""
    for level, word in ((logging.INFO, ""), (logging.WARNING, "warning: "), (logging.ERROR, "error: ")):
        logging.addLevelName(level, word)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s%(message)s", stream=sys.stderr)
    logging.getLogger("logship").setLevel(logging.INFO)


async def _serve(settings: Settings, adopt: bool, form: Form | None) -> None:
    from logship.collector.adopt import Adopter
    from logship.collector.serve import Collector
    from logship.store.read.reader import Reader
    from logship.store.write.store import Store

    with contextlib.ExitStack() as closing:
        listener = _listen(settings.http) if settings.http != "off" else None
        if listener is not None:
            closing.callback(listener.close)
        store = Store(
            settings.store_dir, retention_days=settings.retention_days, retention_bytes=settings.retention_bytes,
            retention_disk_percent=settings.retention_disk_percent,
        )  # fmt: skip
        closing.callback(store.close)
        reader = Reader(settings.store_dir, zone=zone(), limit_seconds=QUESTION_SECONDS)
        closing.callback(reader.close)
        stop = _stop_on_signals()
        collector = Collector(settings, store)
        await collector.start()
        adopter = Adopter(Path(settings.state_dir), collector.addresses, collector.append, adopt)
        adopting = asyncio.create_task(adopter.run(), name="logship adopt")
        try:
            _say_where(settings, collector.addresses, listener, form)
            context = _page_context(settings, collector, store, stop, lambda: server.refused_total if server else 0)
            server = _page(reader, context, settings)
            await _until(stop, [collector.broken(), _runs_on(adopting), _no_thread_dies()], server, listener)
        finally:
            talk("stopping: what is here is stored and acknowledged first")
            adopting.cancel()
            await asyncio.gather(adopting, return_exceptions=True)
            await collector.stop()


async def _until(
    stop: asyncio.Event, parts: "list[Awaitable[object]]", server: "Server | None", listener: socket.socket | None
) -> None:
    """Return when `stop` is set; raise when one of the parts, or the page, ends by itself."""
    tasks: list[asyncio.Task[Any]] = [asyncio.ensure_future(part) for part in (stop.wait(), *parts)]
    serving = [asyncio.create_task(server.serve([listener]), name="logship http")] if server and listener else []
    try:
        done, _ = await asyncio.wait([*tasks, *serving], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        if server is not None:
            server.should_exit = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*serving)


async def _runs_on(part: "asyncio.Task[None]") -> None:
    """Return never: raise what ended the part."""
    await asyncio.shield(part)
    raise RuntimeError(f"{part.get_name()} ended by itself")


async def _no_thread_dies() -> None:
    """Return never: raise what ended a thread of this process.

    A thread that dies of an exception leaves a process that looks alive and no longer does its work."""
    loop = asyncio.get_running_loop()
    died: asyncio.Future[None] = loop.create_future()

    def tell(name: str, error: BaseException) -> None:
        if not died.done():
            died.set_exception(RuntimeError(f"the thread {name} died: {type(error).__name__}: {error}"))

    def hook(told: threading.ExceptHookArgs) -> None:
        before(told)
        name, error = told.thread.name if told.thread else "of a library", told.exc_value
        with contextlib.suppress(RuntimeError):  # the loop is closed: we are ending anyway
            loop.call_soon_threadsafe(tell, name, error if error is not None else told.exc_type())

    before, threading.excepthook = threading.excepthook, hook
    try:
        await died
    finally:
        threading.excepthook = before


def _page_context(
    settings: Settings, collector: "Collector", store: "Store", stop: asyncio.Event, refused: Callable[[], int]
) -> "PageContext":
    """What the page is told: counters of the collector and of the store, and who may ask."""
    from logship.page.context import PageContext
    from logship.state.living import living

    def health() -> dict[str, object]:
        kept = store.health()
        # A directory that is gone has no sizes; the counters are needed most then, and the status says what is wrong.
        with contextlib.suppress(StoreError, OSError):
            kept |= _kept(Path(settings.store_dir))
            kept["oldest_unsealed_seconds"] = max(kept["oldest_unsealed_seconds"], kept["active_log_age_seconds"])
        told = {**collector.health(), "http_refused_total": refused(), "ack_seconds": collector.ack_seconds()}
        return {**told, **kept}

    return PageContext(health, stop.is_set, _access(settings), collector.unready, partial(living, Path(settings.state_dir)))


def _access(settings: Settings) -> "Access":
    """Who may ask over HTTP, and under which names."""
    from logship.page.guard import Access

    host, _ = host_and_port(settings.http, "http") if settings.http != "off" else ("", 0)
    names = (host, socket.gethostname(), *settings.allowed_hosts)
    return Access(settings.token, settings.read_token, names)


def _kept(directory: Path) -> dict[str, float]:
    """Segments, bytes, and the age of the oldest log that is full and not sealed: since the last line was written."""
    from logship.store.files import log_name, read_listing

    found = read_listing(directory)
    full = {log_name(number) for number in found.logs[:-1]}
    sizes, ages = 0, [0.0]
    for one in os.scandir(directory):
        with contextlib.suppress(FileNotFoundError):  # sealed and merged away meanwhile
            told = one.stat()
            sizes += told.st_size
            if one.name in full:
                ages.append(time.time() - told.st_mtime)
    return {"segments": len(found.segments), "store_bytes": sizes, "oldest_unsealed_seconds": max(ages)}


def _page(source: "Source", context: "PageContext", settings: Settings) -> "Server | None":
    if settings.http == "off":
        return None
    from logship.cli.serving import Server
    from logship.collector.accept import shares
    from logship.collector.listen import tls_context

    tls = tls_context(settings.http_cert_file, settings.http_key_file, "http")
    return Server(source, context, shares().clients, tls)


def _stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM and SIGINT; the second one of them ends the process at once."""
    from logship.cli.serving import name_troubles_once

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    name_troubles_once(loop)

    def begin() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, begin)
    return stop


def _listen(text: str) -> socket.socket:
    from logship.collector.accept import BACKLOG
    from logship.collector.listen import why_not

    host, port = host_and_port(text, "http")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ListenError(f"{why_not(text, error)} with --http HOST:PORT") from error


def _check(settings: Settings) -> None:
    """Refuse to answer strangers, and say it when strangers may send."""
    secret = settings.token or settings.read_token
    if settings.http != "off" and not secret and not is_loopback(host_and_port(settings.http, "http")[0]):
        raise SettingsError(
            f"http {settings.http} is open to other machines; give --token, or set LOGSHIP_TOKEN to a secret of your own"
        )
    if settings.http != "off":
        from logship.collector.listen import tls_context
        from logship.page.hosts import AllowedHosts

        AllowedHosts(settings.allowed_hosts)
        tls_context(settings.http_cert_file, settings.http_key_file, "http")
    if settings.forward == "off" and not settings.unix and settings.http == "off":
        raise SettingsError("forward and http are off and unix is not set: there is nothing to do")
    if settings.forward != "off":
        host, _ = host_and_port(settings.forward, "forward")
        if not settings.collector_shared_key and not is_loopback(host):
            talk(
                f"warning: anyone who can reach {settings.forward} can send events; set LOGSHIP_COLLECTOR_SHARED_KEY to"
                " require a key"
            )


def _say_where(settings: Settings, addresses: list[str], listener: socket.socket | None, form: Form | None) -> None:
    url = _url(listener, settings) if listener is not None else None
    if form == "json":
        _json({"forward": addresses, "http": url, "store": settings.store_dir})
        return
    talk(f"collecting  {', '.join(addresses) or 'nothing'}")
    talk(f"HTTP        {url or 'off'}")
    talk(f"store       {settings.store_dir}")
    talk(f"retention   {_retention(settings)}")
    talk(NEXT)


def _retention(settings: Settings) -> str:
    """What the store keeps, and which settings say so."""
    from logship.store.write.retention import Retention

    most = Retention(0, settings.retention_bytes, settings.retention_disk_percent).most_bytes(Path(settings.store_dir))
    limits = [f"{settings.retention_days:g} days"] * bool(settings.retention_days) + [f"{most / 2**30:.1f} GiB"] * bool(most)
    if not limits:
        return "everything is kept; when the disk is full, no more events are accepted"
    names = "LOGSHIP_RETENTION_DAYS, LOGSHIP_RETENTION_BYTES, LOGSHIP_RETENTION_DISK_PERCENT"
    return f"{' or '.join(limits)}, whichever comes first; older events are deleted ({names})"


def _url(listener: socket.socket, settings: Settings) -> str:
    from logship.collector.listen import address

    return f"{'https' if settings.http_cert_file else 'http'}://{address(listener)}"


def _json(where: dict[str, object]) -> None:
    show([where], (), "json")
    sys.stdout.flush()


THEIRS = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": ["-h", "--help"]}


@click.command(context_settings=THEIRS)
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
def run(command: tuple[str, ...]) -> int:
    """Run COMMAND with logship in all its processes.

    For example: logship run uvicorn shop:app --workers 4. Works with uvicorn, gunicorn, granian and hypercorn. The
    status is that of the command."""
    settings = load()  # a setting that makes no sense is told here once, and not by every worker
    if has_address(settings.agent):
        parse_address(settings.agent)
    path = os.pathsep.join(filter(None, [str(INJECT), inherited("PYTHONPATH")]))
    environment = child_environment({"PYTHONPATH": path})
    return supervise(command, environment)


def _found(command: str) -> str:
    """The command itself where the PATH has it, else the one beside our own executable: `.venv/bin/logship run uvicorn`."""
    beside = Path(sys.executable).parent / command
    return str(beside) if shutil.which(command) is None and os.access(beside, os.X_OK) else command


def supervise(command: tuple[str, ...], environment: dict[str, str]) -> int:
    """Start the command, relay signals until it ends, and return its status; killed by a signal, we die of it too."""
    relayed = {one for one in signal.valid_signals() if one not in OURS}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, relayed)
    try:
        child = os.posix_spawnp(_found(command[0]), command, environment, setsigmask=before, setsigdef=_ignored())
    except FileNotFoundError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        talk(f"error: command {command[0]!r} is neither on the PATH nor in {Path(sys.executable).parent}")
        return NOT_FOUND
    except OSError as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        talk(f"error: {command[0]} cannot be run: {error.strerror}")
        return NOT_RUNNABLE
    status = _relay_until_end(child, relayed)
    signal.pthread_sigmask(signal.SIG_SETMASK, before - {signal.SIGCHLD})
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _die_of(signal.Signals(-code))


def _relay_until_end(child: int, relayed: Iterable[int]) -> int:
    while True:
        number, from_terminal = _next_signal(relayed)
        if number == signal.SIGCHLD:
            status = _reap(child)
            if status is not None:
                return status
            continue
        # The terminal has told the child already: it is in the same group, and a second Ctrl-C means something else.
        if not from_terminal:
            os.kill(child, number)
        if number in {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU} and from_terminal:
            os.kill(os.getpid(), signal.SIGSTOP)  # the shell waits until we are stopped, too


def _next_signal(relayed: Iterable[int]) -> tuple[int, bool]:
    """The next signal and whether a terminal sent it."""
    if hasattr(signal, "sigwaitinfo"):
        told = signal.sigwaitinfo(relayed)
        return told.si_signo, told.si_code == SI_KERNEL and told.si_signo in TERMINAL
    # macOS does not tell who sent it; in the foreground of a terminal it was most likely the terminal.
    number = int(signal.sigwait(relayed))
    foreground = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    return number, foreground and number in TERMINAL


def _reap(child: int) -> int | None:
    """The child's status if it has ended. As the first process of a container we also inherit orphans, and reap them."""
    status = None
    while True:
        try:
            pid, one = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == child:
            status = one


def _ignored() -> list[int]:
    """Signals that Python ignores for itself; the child gets them as a shell would give them."""
    names = ("SIGPIPE", "SIGXFZ", "SIGXFSZ")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _die_of(number: signal.Signals) -> int:
    """End as the child did, so that whoever waits for us sees the same; as process 1 that is impossible."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    sys.stdout.flush()
    os.kill(os.getpid(), number)
    return 128 + number
