"""Who can reach a serving process: its listener, its URL, tokens and names, and checks of unsafe combinations."""

import socket
import ssl
from typing import TYPE_CHECKING

from logship.cli.output import talk
from logship.errors import ListenError, SettingsError
from logship.settings import Settings, host_and_port, is_loopback

if TYPE_CHECKING:
    from logship.page.guard import Access


def check_access(settings: Settings) -> None:
    """Warn if other machines can send events without a key. SettingsError if they could query without a token."""
    if settings.http != "off":
        _check_http(settings)
    if settings.forward == "off" and not settings.unix and settings.http == "off":
        raise SettingsError("nothing to do: forward and http are off and unix is not set")
    if settings.forward != "off":
        host, _ = host_and_port(settings.forward, "forward")
        if not settings.collector_shared_key and not is_loopback(host):
            talk(
                f"warning: anyone who can reach {settings.forward} can send events; set LOGSHIP_COLLECTOR_SHARED_KEY to"
                " require a key"
            )


def _check_http(settings: Settings) -> None:
    from logship.page.hosts import AllowedHosts

    token = settings.token or settings.read_token
    if not token and not is_loopback(host_and_port(settings.http, "http")[0]):
        raise SettingsError(
            f"http {settings.http} is reachable from other machines: set LOGSHIP_TOKEN to require a token"
        )
    AllowedHosts(settings.allowed_hosts)
    tls(settings)


def tls(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context of the HTTP server, None without a certificate. SettingsError if a file is not valid."""
    from logship.collector.listen import tls_context

    return tls_context(settings.http_cert_file, settings.http_key_file, "http")


def access(settings: Settings) -> "Access":
    """Return the tokens of HTTP clients and the names under which they may send requests."""
    from logship.page.guard import Access

    host, _ = host_and_port(settings.http, "http") if settings.http != "off" else ("", 0)
    names = (host, socket.gethostname(), *settings.allowed_hosts)
    return Access(settings.token, settings.read_token, names)


def listen(address: str) -> socket.socket:
    """Return a listening socket for HOST:PORT. ListenError says why not."""
    from logship.collector.accept import BACKLOG
    from logship.collector.listen import why_not

    host, port = host_and_port(address, "http")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ListenError(f"{why_not(address, error)} with --http HOST:PORT") from error


def url_of(listener: socket.socket, settings: Settings) -> str:
    """Return the URL of a listening socket."""
    from logship.collector.listen import address

    return f"{'https' if settings.http_cert_file else 'http'}://{address(listener)}"
