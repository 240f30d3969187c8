"""Where queries of this machine go: an explicit source, else the local collector, else its store."""

import socket
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

from logship.errors import SourceError
from logship.search.query import SetAside, Source
from logship.search.units import plural
from logship.settings import Settings, host_and_port

if TYPE_CHECKING:
    from logship.state.living import Living

# A local collector accepts a connection at once; without one the store is read without a noticeable delay.
PROBE_SECONDS = 0.5
LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - connected to, not bound


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """Where a source is. `notice`: why the store is read although no source was named; empty otherwise.

    `address`: the URL of a collector, the directory of a store, or "elastic"."""

    address: str
    notice: str = ""


def find_source(settings: Settings) -> SourceAddress:
    """Return the source that `settings` name or this machine has. SourceError if there is none."""
    if settings.source:
        return SourceAddress(settings.source)
    url = collector_url(settings)
    if url and listens(*host_and_port(url.partition("://")[2], "http")):
        return SourceAddress(url)
    notice = f"no collector listens at {url}" if url else "the collector is off (LOGSHIP_HTTP)"
    if Path(settings.store_dir).is_dir():
        return SourceAddress(settings.store_dir, notice)
    raise SourceError(f"{notice} and there is no store in {settings.store_dir}; start a collector with: logship up")


def open_address(place: SourceAddress, settings: Settings, zone: tzinfo = UTC, limit_seconds: float = 0) -> Source:
    """Open a source. `zone`: of dates in queries; `limit_seconds`: a local store cancels longer queries, 0 for no limit."""
    if "://" in place.address:
        from logship.page.client import HttpSource

        return HttpSource(place.address, settings.token or settings.read_token, settings.source_ca_file)
    if place.address == "elastic":
        from logship.elastic.source import ElasticSource

        return ElasticSource(settings, zone=zone)
    from logship.store.read.reader import Reader

    key_file = settings.integrity_key_file
    return Reader(Path(place.address), zone=zone, limit_seconds=limit_seconds, integrity_key_file=key_file)


def collector_url(settings: Settings) -> str:
    """Return the HTTP address of the local collector, empty if it is off."""
    if settings.http == "off":
        return ""
    host, port = host_and_port(settings.http, "http")
    host = LOOPBACK_OF.get(host, host)
    scheme = "https" if settings.http_cert_file else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def listens(host: str, port: int) -> bool:
    """Return whether a process accepts connections at this address."""
    try:
        socket.create_connection((host, port), PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def damage_sentence(file: SetAside) -> str:
    """Return the sentence for a damaged file of a store."""
    of_workers = f" of {plural(len(file.incarnations), 'worker')}" if file.incarnations else ""
    return (
        f"{file.name} is damaged ({file.reason}): its {plural(file.events, 'event')}{of_workers} are missing in results"
    )


def local_workers(settings: Settings) -> "list[Living]":
    """Return the live workers of this machine; [] if the source is on another machine."""
    from logship.state.living import living

    if "://" in settings.source and settings.source.rstrip("/") != collector_url(settings):
        return []
    return living(Path(settings.state_dir))
