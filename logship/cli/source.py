"""The source of a command, and what a command says about its result: damaged files, empty results, unknown names."""

import contextlib

import click

from logship.cli.options import given_ca_file
from logship.cli.output import note, talk
from logship.cli.times import moment, zone, zone_name
from logship.connect.source import damage_sentence, find_source, open_address
from logship.errors import QuestionError, SourceError
from logship.search.kql import And, Is, Node, Text, equal
from logship.search.query import Damageable, Query, Source
from logship.settings import load

SERVICES_NAMED = 20


def open_source(name: str | None, limit_seconds: float = 0) -> Source:
    """Return the source that --source names, or the default one. SourceError says where it was sought.

    `limit_seconds`: a local store cancels longer queries. Damaged files are named on stderr when the command ends."""
    settings = load({"source": name, "source_ca_file": given_ca_file()})
    address = find_source(settings)
    if address.notice:
        talk(f"{address.notice}; reading its store {address.address}")
    source = open_address(address, settings, zone(), limit_seconds)
    context = click.get_current_context(silent=True)
    if context is not None and isinstance(source, Damageable):
        context.call_on_close(lambda: _name_damage(source))
    return source


def _name_damage(source: Damageable) -> None:
    with contextlib.suppress(SourceError, QuestionError):  # the command has reported this error already
        for file in source.set_aside():
            talk(f"warning: {damage_sentence(file)}")


def nothing_found(source: Source, query: Query) -> str:
    """Return the sentence for an empty result: the searched time, the oldest event, and services that do not exist."""
    oldest_ns = source.oldest_ns()
    if oldest_ns is None:
        return "nothing found: the store is empty"
    since = f" since {_minute(query.since_ns)}" if query.since_ns is not None else ""
    until = f" until {_minute(query.until_ns)}" if query.until_ns is not None else ""
    return (
        f"nothing found{since}{until}; the oldest event is from {_minute(oldest_ns)}{_unknown_service(source, query)}"
    )


def _minute(ns: int) -> str:
    return f"{moment(ns)[:19]} {zone_name(ns)}"


def _unknown_service(source: Source, query: Query) -> str:
    """A clause if the query names a service without events, else empty."""
    unknown = [name for name in _services(query.where) if not source.count(Query(equal("service.name", name)))]
    if not unknown:
        return ""
    known = sorted(share.value for share in source.top(Query(), "service.name", SERVICES_NAMED))
    others = f", only of: {', '.join(known)}" if known else ""
    return f"; there are no events of service {unknown[0]!r}{others}"


def _services(where: Node | None) -> list[str]:
    """The services that a query requires by name."""
    match where:
        case And(parts):
            return [name for part in parts for name in _services(part)]
        case Is(Text("service.name" | "service"), Text(name)):
            return [name]
    return []


def hint(source: Source, query: Query) -> None:
    """Name on stderr the fields of the query that no event has: probably a typing error."""
    from logship.search.hints import hints

    for sentence in hints(source, query.where):
        note(f"hint: {sentence}")
