"""Listening sockets: TCP, TLS and Unix. This module does not know the protocol that runs over them."""

import contextlib
import errno
import os
import socket
import ssl
import stat
from pathlib import Path

from logship.collector.accept import BACKLOG
from logship.errors import ListenError, SettingsError

TLS_HANDSHAKE_SECONDS = 10.0


def listen_tcp(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for each address of `host`. ListenError if that fails."""
    try:
        return _listen_tcp(host, port)
    except OSError as error:
        raise ListenError(why_not(f"{host}:{port}", error)) from error


def _listen_tcp(host: str, port: int) -> list[socket.socket]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    problem: OSError | None = None
    for family, kind, protocol, _, target in dict.fromkeys(found):
        try:
            listeners.append(_bound(family, kind, protocol, target))
        except OSError as error:
            # localhost may have an IPv6 address on a machine without IPv6.
            if error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
                for one in listeners:
                    one.close()
                raise
            problem = error
    if not listeners:
        raise problem or OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    return listeners


def _bound(family: int, kind: int, protocol: int, target: object) -> socket.socket:
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(target)  # type: ignore[arg-type]
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def listen_unix(path: Path) -> socket.socket:
    """Return a listening Unix socket at `path` with mode 0660. The socket file of a killed process is replaced.

    ListenError if another process listens there, or if `path` is not a socket."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        before = os.umask(0o117)  # the file must not exist with other permissions, even briefly
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if isinstance(error, ListenError):
            raise
        raise ListenError(why_not(str(path), error)) from error
    return listener


def tls_context(cert_file: str, key_file: str, setting: str = "collector") -> ssl.SSLContext | None:
    """Return the TLS context of a listener, None without a certificate. SettingsError if the files are invalid.

    `setting`: the prefix of the names of both settings."""
    if not cert_file:
        if key_file:
            raise SettingsError(f"{setting}_key_file is set without {setting}_cert_file: set both")
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert_file, key_file or None)
    except (OSError, ssl.SSLError) as error:
        files = f"{cert_file} and {key_file or 'no key file'}"
        raise SettingsError(f"{files}: invalid certificate or key: {error}") from error
    return context


def address(listener: socket.socket) -> str:
    """Return HOST:PORT of a listening TCP socket."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def why_not(where: str, error: OSError) -> str:
    """Return the sentence that says why listening on the address `where` failed and what to do."""
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use, perhaps by Fluent Bit or another `logship up`: stop it, or choose another address"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"no permission to listen on {where}: choose another address (ports below 1024 need root)"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{where} is not an address of this machine: use 127.0.0.1 for this machine only, 0.0.0.0 for all interfaces"
    return f"cannot listen on {where}: {error.strerror or error}"


def remove_socket(path: Path) -> None:
    """Remove the file of a Unix socket, if it exists."""
    with contextlib.suppress(OSError):
        path.unlink()


def _remove_stale(path: Path) -> None:
    try:
        mode = path.stat(follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"{path} exists and is not a socket: remove it, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
        else:
            raise ListenError(f"{path} is in use by another process: stop it, or choose another path")
