"""Sockets that senders connect to: TCP, TLS, unix. Nothing here knows what is said on them."""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

from logship.errors import ListenError, SettingsError

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Served = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

BACKLOG = 256
# The reader stops the transport at twice this: what the kernel gives us before we have asked for it.
STREAM_BYTES = 256 * 1024
TLS_HANDSHAKE_SECONDS = 10.0


async def listen_tcp(
    served: Served, host: str, port: int, tls: ssl.SSLContext | None
) -> tuple[asyncio.Server, list[str]]:
    """A listening server and the addresses it got, as HOST:PORT. ListenError says why not, and what to change."""
    patience = {"ssl_handshake_timeout": TLS_HANDSHAKE_SECONDS} if tls else {}
    try:
        server = await asyncio.start_server(
            served, host, port, ssl=tls, limit=STREAM_BYTES, backlog=BACKLOG, **patience
        )
    except OSError as error:
        raise ListenError(why_not(f"{host}:{port}", error)) from error
    return server, [address(one) for one in server.sockets]


async def listen_unix(served: Served, path: Path) -> asyncio.Server:
    """A server on a unix socket that the owner and the group may use. What a killed process left there is replaced.

    ListenError if another process listens there, or if something else than a socket has that name."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_way(path)
        before = os.umask(0o117)  # the file must never exist with other rights than 0660
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        return await asyncio.start_unix_server(served, sock=listener, limit=STREAM_BYTES, backlog=BACKLOG)
    except OSError as error:
        listener.close()
        if isinstance(error, ListenError):
            raise
        raise ListenError(why_not(str(path), error)) from error


def tls_context(cert_file: str, key_file: str) -> ssl.SSLContext | None:
    """What a TLS listener needs, None without a certificate. SettingsError if the files do not fit."""
    if not cert_file:
        if key_file:
            raise SettingsError("collector_key_file is set without collector_cert_file")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert_file, key_file or None)
    except (OSError, ssl.SSLError) as error:
        files = f"{cert_file} and {key_file or 'no key file'}"
        raise SettingsError(f"{files} do not make a certificate with its key: {error}") from error
    return context


def address(listener: socket.socket) -> str:
    """HOST:PORT of a listening TCP socket."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def why_not(where: str, error: OSError) -> str:
    """The sentence for an address that cannot be listened on."""
    if error.errno == errno.EADDRINUSE:
        return f"{where} is taken: a Fluent Bit or another `logship up`? Stop it, or choose another address"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"{where} may not be listened on by this user; choose another address (ports below 1024 belong to root)"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{where} is no address of this machine; 127.0.0.1 is this machine alone, 0.0.0.0 every interface"
    return f"{where} cannot be listened on: {error.strerror or error}"


def remove_socket(path: Path) -> None:
    """Remove our socket's file; somebody may have done so before."""
    with contextlib.suppress(OSError):
        path.unlink()


def _make_way(path: Path) -> None:
    try:
        mode = path.stat(follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{path} is there and is no socket; remove it, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
        else:
            raise ListenError(f"{path} is taken: another process listens there. Stop it, or choose another path")
