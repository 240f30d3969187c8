"""Records and segments that could not be delivered. They are kept in the state directory for inspection.

    <state>/refused/<incarnation>-<ns>.msgpack             a record that the agent refused, sent alone
    <state>/unreadable/<incarnation>-<number>.segment      a segment with unreadable records

Each directory holds at most `LIMIT_BYTES`; what does not fit is not kept, and the caller reports it. Nothing is deleted.
A file whose name begins with a dot is being written.
"""

import errno
import os
from pathlib import Path

from logship.state.home import Home, make_directory

LIMIT_BYTES = 64 << 20


def keep(folder: Path, name: str, data: bytes) -> Path:
    """Write `data` to the file `name` in `folder` and return its path. OSError if it does not fit or cannot be written."""
    _make_room(folder, len(data))
    making, path = folder / f".{name}", folder / name
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(data)
    making.rename(path)
    return path


def move(folder: Path, name: str, source: Path) -> Path:
    """Move the file `source` into `folder` under `name` and return its path. OSError if it does not fit."""
    _make_room(folder, source.lstat().st_size)
    path = folder / name
    source.rename(path)
    return path


def held(state: Path) -> dict[Path, tuple[int, int]]:
    """Return (files, bytes) of both directories under the state directory `state`, by path; empty ones are left out."""
    home = Home(state)
    sizes = {folder: _size(folder) for folder in (home.refused, home.unreadable)}
    return {folder: size for folder, size in sizes.items() if size[0]}


def _make_room(folder: Path, size_bytes: int) -> None:
    make_directory(folder)
    _, held_bytes = _size(folder)
    if held_bytes + size_bytes > LIMIT_BYTES:
        text = f"{folder} holds {held_bytes} bytes and its limit is {LIMIT_BYTES}; move its files elsewhere"
        raise OSError(errno.EDQUOT, text)


def _size(folder: Path) -> tuple[int, int]:
    try:
        sizes = [entry.stat(follow_symlinks=False).st_size for entry in os.scandir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return 0, 0
    return len(sizes), sum(sizes)
