"""Options of the commands that serve HTTP."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--http", metavar="HOST:PORT", help='HTTP address (127.0.0.1:24280); "off" disables it'),
    click.option(
        "--token", metavar="TEXT",
        help="Bearer token clients must send. Prefer LOGSHIP_TOKEN: command lines are visible in ps",
    ),
    click.option(
        "--allowed-host", "allowed_hosts", multiple=True, metavar="NAME",
        callback=lambda _context, _parameter, names: names or None,
        help="Accept requests to this host name, such as logs.example or *.example; repeatable",
    ),
    click.option("--http-cert-file", metavar="FILE", help="Certificate chain (PEM): HTTP uses TLS only"),
    click.option("--http-key-file", metavar="FILE", help="Private key (PEM) of the certificate"),
    click.option(
        "--json", "form", flag_value="json", help="Print the listening addresses as one JSON object on stdout"
    ),
)  # fmt: skip


def http_options(command: F) -> F:
    """Add --http, --token, --allowed-host, --http-cert-file, --http-key-file and --json."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
