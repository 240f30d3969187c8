"""Sockets that senders connect to: TCP, TLS, unix. Nothing here knows what is said on them."""

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
    """Return a listening socket for each address of `host`. ListenError says why not, and what to change."""
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
            # localhost has an IPv6 address on machines without IPv6.
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
    """Return a listening unix socket that the owner and the group may use. What a killed process left there is replaced.

    ListenError if another process listens there, or if something else than a socket has that name."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_way(path)
        before = os.umask(0o117)  # the file must never exist with other rights than 0660
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
    """Return what a TLS listener needs, None without a certificate. SettingsError if the files do not fit.

    `setting`: what the names of the two settings begin with."""
    if not cert_file:
        if key_file:
            raise SettingsError(f"{setting}_key_file is set without {setting}_cert_file")
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
