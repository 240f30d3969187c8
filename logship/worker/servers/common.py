"""What the modules of all servers use: the application's wrapper, the known server, addresses, and the calling frames."""

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

from logship.worker.server_info import ServerInfo

# Host and port, or the path of a Unix socket and None; ("", None) if unknown.
Address = tuple[str, int | None]

# The server of this process, once one of its patched functions has run.
known_server: ServerInfo | None = None
_wrap: Callable[[Any], Any] | None = None


def remember(server: ServerInfo) -> None:
    """Make `server` the known server of this process."""
    global known_server
    known_server = server


def wrap_with(wrap: Callable[[Any], Any]) -> None:
    """Have `wrap` called with each application that a server loads from now on."""
    global _wrap
    _wrap = wrap


def wraps_applications() -> bool:
    """Return whether `wrap_with` was called, as `logship.auto` does."""
    return _wrap is not None


def wrapped(app: Any) -> Any:
    """Return the application that a server should call in place of `app`. A class (ASGI 2) is returned as it is."""
    return app if _wrap is None or isinstance(app, type) else _wrap(app)


def frames() -> list[FrameType]:
    """Return the frames on the stack, the nearest first."""
    stack: list[FrameType] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        stack.append(frame)
        frame = frame.f_back
    return stack


def callers() -> list[Any]:
    """Return the `self` of each method on the stack, the nearest first."""
    return [frame.f_locals["self"] for frame in frames() if "self" in frame.f_locals]


def instance_name(address: Address) -> str:
    """Return the name of a service instance that listens at `address`: the port, or the socket's file name."""
    host, port = address
    return str(port) if port is not None else file_stem(host)


def file_stem(path: object) -> str:
    """Return the file name of `path` without its suffix; empty for an empty path or None."""
    return Path(str(path)).stem if path else ""


def address_of(name: object) -> Address:
    """Return the address that a socket calls its name: (host, port, ...) or the path of a Unix socket."""
    if isinstance(name, (tuple, list)):
        return str(name[0] or ""), name[1] if len(name) > 1 and isinstance(name[1], int) else None
    return (os.fsdecode(name) if isinstance(name, (str, bytes)) else ""), None


def address_of_sockets(sockets: Sequence[Any]) -> Address:
    """Return the address of the first socket that has one."""
    for candidate in sockets:
        with contextlib.suppress(OSError):
            return address_of(candidate.getsockname())
    return "", None


def argument(name: str) -> str:
    """Return the value of a command line option (`--port 80` or `--port=80`); empty if it is not given."""
    words = sys.argv
    separate = [value for word, value in pairwise(words) if word == name]
    joined = [word.partition("=")[2] for word in words if word.startswith(name + "=")]
    return next(iter(separate + joined), "")
