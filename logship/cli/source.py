"""Whom a command asks, and what: `--source`, and the options that make a `Query`."""

import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any, TypeVar

import click

from logship.errors import QuestionError, SourceError
from logship.search.kql import equal, every, parse
from logship.search.query import Query, Source
from logship.search.times import parse_time, rfc3339, span
from logship.settings import Settings, host_and_port, load

F = TypeVar("F", bound=Callable[..., Any])
# A collector on this machine accepts at once; nobody should wait for one that is not there.
KNOCK_SECONDS = 0.5
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - asked there, not bound


@dataclass(frozen=True, slots=True)
class Window:
    """The options of a question as they were typed."""

    kql: str = ""
    last: str | None = None
    since: str | None = None
    until: str | None = None
    slot: int | None = None


def source_option(command: F) -> F:
    """Add --source."""
    words = "A store's directory or a collector's URL; without it the collector of this machine, else its store."
    return click.option("--source", metavar="DIR|URL", help=words)(command)


def window_options(command: F) -> F:
    """Add --last, --since, --until and --slot."""
    for one in (
        click.option("--slot", type=click.IntRange(0), metavar="N", help="Only the worker with this number."),
        click.option("--until", metavar="T", help="Up to then."),
        click.option("--since", metavar="T", help="From then: 14:03, 'yesterday 14:00', 2026-11-20T14:03Z."),
        click.option("--last", metavar="SPAN", help="As far back: 15m, 2h, 1d."),
    ):
        command = one(command)
    return command


def make_query(window: Window, default_last: str | None = None) -> Query:
    """The question that the options ask, now. QuestionError says which of them makes no sense."""
    now_ns, zone = time.time_ns(), local_zone()
    if window.last and window.since:
        raise QuestionError("--last and --since both say where to begin; give one of them")
    until_ns = parse_time(window.until, now_ns, zone) if window.until else None
    since_ns = parse_time(window.since, now_ns, zone) if window.since else None
    last = window.last or (default_last if since_ns is None else None)
    if last:
        since_ns = (until_ns or now_ns) - span(last)
    if since_ns is not None and until_ns is not None and until_ns <= since_ns:
        raise QuestionError(f"--until {window.until} is not after --since {window.since or window.last}")
    slot = equal("logship.worker.slot", window.slot) if window.slot is not None else None
    return Query(every(parse(window.kql), slot), since_ns, until_ns)


def open_source(given: str | None) -> Source:
    """Whoever answers. SourceError says whom we tried and what to start."""
    settings = load({"source": given})
    if "://" in settings.source:
        return _remote(settings.source, settings)
    if settings.source:
        return _local(Path(settings.source))
    url = collector_url(settings)
    if url and _somebody_listens(url):
        return _remote(url, settings)
    store = Path(settings.store_dir)
    if store.is_dir():
        return _local(store)
    nobody = f"no collector listens at {url} and" if url else ""
    raise SourceError(f"{nobody} there is no store in {store}; start a collector with: logship up".strip())


def collector_url(settings: Settings) -> str:
    """Where the collector of this machine answers, empty when it is off."""
    if settings.http == "off":
        return ""
    host, port = host_and_port(settings.http, "http")
    host = EVERYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def local_zone() -> tzinfo:
    """The zone that the times people type are in."""
    return datetime.now(UTC).astimezone().tzinfo or UTC


def nothing_found(source: Source, query: Query) -> str:
    """The sentence for a question that found nothing: whether the store goes back that far."""
    oldest_ns = source.oldest_ns()
    if oldest_ns is None:
        return "nothing: the store is empty"
    begins = f"the store begins at {rfc3339(oldest_ns)[:19]}Z"
    since = f" since {rfc3339(query.since_ns)[:19]}Z" if query.since_ns is not None else ""
    until = f" until {rfc3339(query.until_ns)[:19]}Z" if query.until_ns is not None else ""
    return f"nothing{since}{until}; {begins}"


def living_requests(given: str | None) -> list[dict[str, Any]]:
    """What the workers of this machine are answering now, as cells for `forensics.inflight`; none of another machine."""
    from logship.event.build import Worker
    from logship.state import inflight
    from logship.state.adopt import survey
    from logship.state.identity import Cell, Snapshot

    def worker(one: Snapshot) -> dict[str, Any]:
        facts, generation = one.facts, one.cells[Cell.GENERATION]
        told = Worker(one.incarnation, facts.service, facts.host, facts.pid, instance=facts.instance, slot=one.slot)
        return {
            "service": facts.service,
            "node": told.node(),
            "slot": one.slot,
            "generation": generation,
            "pid": facts.pid,
            "incarnation": one.incarnation,
        }

    settings = load({"source": given})
    if "://" in settings.source and settings.source.rstrip("/") != collector_url(settings):
        return []
    try:
        found, _ = survey(Path(settings.state_dir))
    except OSError:
        return []  # the state of another user
    living = [one for one in found if one.owner]
    return [asdict(cell) | worker(one.snapshot) for one in living for cell in inflight.read(one.directory)]


def _remote(url: str, settings: Settings) -> Source:
    from logship.page.client import HttpSource

    return HttpSource(url, settings.token)


def _local(directory: Path) -> Source:
    from logship.store.reader import Reader

    return Reader(directory, zone=local_zone())


def _somebody_listens(url: str) -> bool:
    host, port = host_and_port(url.removeprefix("http://"), "http")
    try:
        socket.create_connection((host, port), KNOCK_SECONDS).close()
    except OSError:
        return False
    return True
