"""Whom a command asks, and what: `--source`, the options that make a `Query`, and the agent that takes events."""

import calendar
import contextlib
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from logship.cli.show import note
from logship.errors import QuestionError, SourceError, WireError
from logship.search.kql import And, Is, Node, Text, equal, every, parse
from logship.search.query import Damageable, Query, SetAside, Source
from logship.search.times import from_rfc3339, parse_time, span
from logship.settings import Settings, host_and_port, load

if TYPE_CHECKING:
    from logship.state.living import Living

F = TypeVar("F", bound=Callable[..., Any])
# A collector on this machine accepts at once; nobody should wait for one that is not there.
KNOCK_SECONDS = 0.5
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - asked there, not bound
IN_UTC = "logship.utc"
SERVICES_NAMED = 20
CA_FILE = "logship.ca_file"
PLACES = "DIR|URL|elastic"
WHERE = "A store, a collector or Elasticsearch; without it the collector of this machine, else its store."
ANSWER_SECONDS = 30.0

Entries = list[tuple[int, dict[str, Any]]]


class Local(tzinfo):
    """The zone of this machine with its summer time: what a person means depends on the day."""

    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(seconds=self._told(when).tm_gmtoff)

    def dst(self, when: datetime | None) -> timedelta:
        return timedelta(hours=self._told(when).tm_isdst > 0)

    def tzname(self, when: datetime | None) -> str:
        return self._told(when).tm_zone

    def fromutc(self, when: datetime) -> datetime:
        seconds = calendar.timegm(_clock(when))
        told = time.localtime(seconds)
        fold = time.localtime(seconds - 3600)[:6] == told[:6]
        return datetime(*told[:5], min(told.tm_sec, 59), when.microsecond, tzinfo=self, fold=fold)

    def _told(self, when: datetime | None) -> time.struct_time:
        if when is None:
            return time.localtime()
        told = time.localtime(0)
        for summer in (not when.fold, -1):  # an hour that comes twice is first summer time
            with contextlib.suppress(OverflowError, ValueError):
                told = time.localtime(time.mktime((*_clock(when), 0, 0, summer)))
            if told[:6] == _clock(when):
                break
        return told


def _clock(when: datetime) -> tuple[int, int, int, int, int, int]:
    return when.year, when.month, when.day, when.hour, when.minute, when.second


@dataclass(frozen=True, slots=True)
class Window:
    """The options of a question as they were typed."""

    kql: str = ""
    last: str | None = None
    since: str | None = None
    until: str | None = None
    slot: int | None = None
    service: str | None = None


def kql_argument(command: F) -> F:
    """Add the question, which may be left out."""
    return click.argument("kql", default="")(command)


def source_option(command: F) -> F:
    """Add --source, --ca-file and --utc."""
    command = click.option(
        "--ca-file",
        metavar="FILE",
        expose_value=False,
        callback=_remember_ca_file,
        help="Certificates (PEM) that vouch for an https:// source",
    )(command)
    command = click.option("--source", metavar=PLACES, help=WHERE)(command)
    return click.option(
        "--utc", is_flag=True, expose_value=False, callback=_utc, help="Times in UTC, typed and shown."
    )(command)


def window_options(command: F) -> F:
    """Add --last, --since, --until, --service and --slot."""
    command = click.option("--slot", type=click.IntRange(0), metavar="N", help="Only the worker with this number.")(
        command
    )
    return span_options(command)


def service_option(command: F) -> F:
    """Add --service."""
    return click.option("--service", metavar="NAME", help="Only this service.")(command)


def span_options(command: F) -> F:
    """Add --last, --since, --until and --service."""
    command = service_option(command)
    for one in (
        click.option("--until", metavar="T", help="Up to then."),
        click.option("--since", metavar="T", help="From then: 14:03, 'yesterday 14:00', 2026-11-20T14:03Z."),
        click.option("--last", metavar="SPAN", help="As far back: 15m, 2h, 1d."),
    ):
        command = one(command)
    return command


def make_query(window: Window, default_last: str | None = None) -> Query:
    """The question that the options ask, now. QuestionError says which of them makes no sense."""
    now_ns = time.time_ns()
    context = click.get_current_context(silent=True)
    if context is not None and isinstance(context.obj, dict):
        context.obj["kql"] = window.kql  # whoever tells an error can then show where it is
    if window.last and window.since:
        raise QuestionError("--last and --since both say where to begin; give one of them")
    until_ns = parse_time(window.until, now_ns, zone()) if window.until else None
    since_ns = parse_time(window.since, now_ns, zone()) if window.since else None
    last = window.last or (default_last if since_ns is None else None)
    if last:
        since_ns = (until_ns or now_ns) - span(last)
    if since_ns is not None and until_ns is not None and until_ns <= since_ns:
        began = f"--since {window.since or window.last} ({moment(since_ns)[:19]})"
        raise QuestionError(f"--until {window.until} is {moment(until_ns)[:19]}, which is not after {began}")
    slot = equal("logship.worker.slot", window.slot) if window.slot is not None else None
    service = equal("service.name", window.service) if window.service else None
    return Query(every(parse(window.kql), service, slot), since_ns, until_ns)


def open_source(given: str | None, limit_seconds: float = 0) -> Source:
    """Whoever answers; a store cancels what takes it longer. SourceError says whom we tried and what to start.

    When the command ends, damaged files that its results lack are named on stderr."""
    source = _open_source(given, limit_seconds)
    context = click.get_current_context(silent=True)
    if context is not None and isinstance(source, Damageable):
        context.call_on_close(lambda: _name_damage(source))
    return source


def _name_damage(source: Damageable) -> None:
    with contextlib.suppress(SourceError, QuestionError):  # it told its own error, or ended meanwhile
        for one in source.set_aside():
            click.echo(f"warning: {damage_of(one)}", err=True)


def damage_of(one: SetAside) -> str:
    """The sentence for a damaged file of a store."""
    lives = f" of {len(one.incarnations)} workers" if one.incarnations else ""
    return f"{one.name} is damaged ({one.reason}): its {one.events:,} events{lives} are missing in results"


def _open_source(given: str | None, limit_seconds: float) -> Source:
    settings = load({"source": given, "source_ca_file": _ca_file()})
    if "://" in settings.source:
        return _remote(settings.source, settings)
    if settings.source == "elastic":
        return _elastic(settings)
    if settings.source:
        return _local(Path(settings.source), limit_seconds)
    url = collector_url(settings)
    if url and listens(*host_and_port(url.partition("://")[2], "http")):
        return _remote(url, settings)
    nobody, store = f"no collector listens at {url}" if url else "there is no collector", Path(settings.store_dir)
    if store.is_dir():
        click.echo(f"{nobody}; this is what lies in its store {store}", err=True)
        return _local(store, limit_seconds)
    raise SourceError(f"{nobody} and no store in {store}; start a collector with: logship up")


def collector_url(settings: Settings) -> str:
    """Where the collector of this machine answers, empty when it is off."""
    if settings.http == "off":
        return ""
    host, port = host_and_port(settings.http, "http")
    host = EVERYWHERE.get(host, host)
    scheme = "https" if settings.http_cert_file else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def zone() -> tzinfo:
    """The zone that the times are in which people type and read."""
    context = click.get_current_context(silent=True)
    return UTC if context is not None and context.find_root().meta.get(IN_UTC) else Local()


def zone_name(ns: int | None = None) -> str:
    """UTC, or the zone of this machine with its difference, CET +01:00."""
    when = datetime.fromtimestamp(time.time() if ns is None else ns / 1e9, zone())
    offset = f"{when:%z}"
    name = when.tzname() or ""
    return name if name in ("UTC", "GMT") else f"{name if name.isalpha() else ''} {offset[:3]}:{offset[3:5]}".strip()


def moment(value: Any, *, dated: bool = True) -> str:
    """A time in the zone of whoever reads it, to the millisecond."""
    ns = value if isinstance(value, int) else from_rfc3339(str(value))
    when = datetime.fromtimestamp(ns // 10**9, zone())
    clock = f"{when:%H:%M:%S}.{ns % 10**9 // 10**6:03d}"
    return f"{when:%Y-%m-%d} {clock}" if dated else clock


def moment_cell(value: Any) -> str:
    """A time as a table shows it: on a terminal without today's date, in a pipe with its difference to UTC."""
    ns = value if isinstance(value, int) else from_rfc3339(str(value))
    when = datetime.fromtimestamp(ns // 10**9, zone())
    if not sys.stdout.isatty():
        return f"{moment(ns)}{when:%z}"
    return moment(ns, dated=when.date() != datetime.now(when.tzinfo).date())


def nothing_found(source: Source, query: Query) -> str:
    """The sentence for a question that found nothing: whether the store goes back that far."""
    oldest_ns = source.oldest_ns()
    if oldest_ns is None:
        return "nothing: the store is empty"

    def told(ns: int) -> str:
        return f"{moment(ns)[:19]} {zone_name(ns)}"

    since = f" since {told(query.since_ns)}" if query.since_ns is not None else ""
    until = f" until {told(query.until_ns)}" if query.until_ns is not None else ""
    lost = [name for name in _services(query.where) if not source.count(Query(equal("service.name", name)))]
    known = ", ".join(sorted(one.value for one in source.top(Query(), "service.name", SERVICES_NAMED))) if lost else ""
    absent = f"; no event is of the service {lost[0]!r}, there are: {known or 'none'}" if lost else ""
    return f"nothing{since}{until}; the store begins at {told(oldest_ns)}{absent}"


def _services(where: Node | None) -> list[str]:
    """The services that a query asks for by their names."""
    match where:
        case And(parts):
            return [name for part in parts for name in _services(part)]
        case Is(Text("service.name" | "service"), Text(name)):
            return [name]
    return []


def hint(source: Source, query: Query) -> None:
    """Say on stderr which names of the query no event has: the result is right and may answer another question."""
    from logship.search.hints import hints

    for sentence in hints(source, query.where):
        note(f"hint: {sentence}")


def living_here(settings: Settings) -> "list[Living]":
    """The living workers of this machine; none when another machine is asked: its workers are not ours."""
    from logship.state.living import living

    if "://" in settings.source and settings.source.rstrip("/") != collector_url(settings):
        return []
    return living(Path(settings.state_dir))


def listens(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((host, port), KNOCK_SECONDS).close()
    except OSError:
        return False
    return True


class Forward:
    """A connection to an agent that speaks Forward, after its handshake if a shared key is set.

    SourceError when nobody is there, or somebody who does something else."""

    def __init__(self, address: str, settings: Settings) -> None:
        from logship.wire.address import parse_address
        from logship.wire.send import AckReader

        self.address = parse_address(address)
        self._reader = AckReader()
        try:
            self._socket = self._connect(settings)
        except (OSError, WireError) as error:
            raise SourceError(f"{address}: {getattr(error, 'strerror', None) or error}") from error
        try:
            self._greet(settings)
        except (OSError, WireError) as error:
            self._socket.close()
            raise SourceError(f"{address}: {getattr(error, 'strerror', None) or error}") from error

    def put(self, entries: Entries) -> tuple[int, int]:
        from logship.event.entry import TAG, pack
        from logship.wire.send import encode_batch, new_chunk

        body, chunk = b"".join(pack(ns, record) for ns, record in entries), new_chunk()
        try:
            self._socket.sendall(encode_batch(TAG, body, chunk, len(entries)))
            while chunk not in (acknowledged := self._reader.feed(self._receive())):
                if acknowledged:
                    raise WireError("an acknowledgement of something else came")
        except (OSError, WireError) as error:
            raise SourceError(f"{self.address} did not acknowledge: {error}") from error
        return len(entries), 0

    def says_first(self, seconds: float) -> bytes:
        """What the agent says before we do, within `seconds`: a HELO if it wants a shared key; empty for nothing."""
        self._socket.settimeout(seconds)
        try:
            return self._receive()
        except TimeoutError:
            return b""
        finally:
            self._socket.settimeout(ANSWER_SECONDS)

    def close(self) -> None:
        self._socket.close()

    def _connect(self, settings: Settings) -> socket.socket:
        if self.address.unix:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(self.address.host)
            return connection
        connection = socket.create_connection((self.address.host, self.address.port), 5.0)
        connection.settimeout(ANSWER_SECONDS)
        if not self.address.tls:
            return connection
        from logship.wire.tls import client_context, handshake_trouble

        context = client_context(settings.agent_ca_file)
        try:
            return context.wrap_socket(connection, server_hostname=self.address.host)
        except OSError as error:
            raise handshake_trouble(error) from error

    def _greet(self, settings: Settings) -> None:
        if not settings.agent_shared_key:
            return
        from logship.wire.handshake import ClientHandshake, Credentials

        known = Credentials(settings.agent_shared_key, settings.agent_user, settings.agent_password)
        greeting = ClientHandshake(known, socket.gethostname())
        self._socket.settimeout(5.0)
        while not greeting.done:
            try:
                self._socket.sendall(greeting.feed(self._receive()))
            except (ConnectionResetError, TimeoutError):
                raise greeting.ended() from None
        self._socket.settimeout(ANSWER_SECONDS)

    def _receive(self) -> bytes:
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionResetError("the connection was closed")
        return received


def _remote(url: str, settings: Settings) -> Source:
    from logship.page.client import HttpSource

    return HttpSource(url, settings.token or settings.read_token, settings.source_ca_file)


def _elastic(settings: Settings) -> Source:
    from logship.elastic.source import ElasticSource

    return ElasticSource(settings, zone=zone())


def _local(directory: Path, limit_seconds: float) -> Source:
    from logship.store.read.reader import Reader

    return Reader(directory, zone=zone(), limit_seconds=limit_seconds)


def _remember_ca_file(context: click.Context, _: click.Parameter, given: str | None) -> None:
    context.find_root().meta[CA_FILE] = given


def _ca_file() -> str | None:
    """What --ca-file said, None without it."""
    context = click.get_current_context(silent=True)
    given: str | None = context.find_root().meta.get(CA_FILE) if context is not None else None
    return given


def _utc(context: click.Context, _: click.Parameter, given: bool) -> None:
    if given:
        context.find_root().meta[IN_UTC] = True
