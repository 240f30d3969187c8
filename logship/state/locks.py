"""Owner locks: a POSIX record lock says that a process lives, and dies with it, also by SIGKILL.

Closing any descriptor of a locked file in the owner frees the lock, and a second descriptor of the same process
obtains it again. So this registry is the one place of a process that opens lock files, and it never opens its own.
A lock is not inherited by fork: the child starts with an empty registry.
"""

import errno
import fcntl
import os
import stat
import struct
import sys
import threading
from pathlib import Path

_held: dict[str, int] = {}
_guard = threading.Lock()

# struct flock: Linux puts type and whence first; macOS and the BSDs put start, length and pid first.
_FLOCK = struct.Struct("hhqqi4x" if sys.platform == "linux" else "qqihh")


def hold(path: Path) -> bool:
    """Lock the file at `path` (made if missing, 0600) for this process. False if another process, or we, hold it."""
    key = str(path)
    with _guard:
        if key in _held:
            return False
        try:
            descriptor = _open(path, os.O_RDWR | os.O_CREAT)
        except OSError:
            return False
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        _held[key] = descriptor
        return True


def descriptor(path: Path) -> int:
    """The descriptor of a lock that we hold; KeyError if we do not."""
    return _held[str(path)]


def still_there(path: Path) -> bool:
    """Whether the file that we locked is the one that `path` names now (not removed or replaced meanwhile)."""
    try:
        mine, named = os.fstat(_held[str(path)]), os.stat(path)
    except (KeyError, OSError):
        return False
    return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)


def renamed(old: Path, new: Path) -> None:
    """Tell the registry that a locked file has moved (its directory was renamed)."""
    with _guard:
        _held[str(new)] = _held.pop(str(old))


def release(path: Path) -> None:
    """Free a lock that we hold; nothing happens if we do not."""
    with _guard:
        descriptor = _held.pop(str(path), None)
        if descriptor is not None:
            os.close(descriptor)


def holder(path: Path) -> int | None:
    """The pid that holds `path` (our own included), or None if it is free or missing. Does not take the lock."""
    key = str(path)
    with _guard:
        if key in _held:
            return os.getpid()
        try:
            descriptor = _open(path, os.O_RDWR)
        except OSError:
            return None
        try:
            return _asked(descriptor)
        finally:
            os.close(descriptor)


def _open(path: Path, flags: int) -> int:
    """A descriptor of a regular file, through no symbolic link and without waiting. OSError for anything else.

    Closing it frees our own lock on the same file: never for one that we hold."""
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != 0o600:
        os.fchmod(descriptor, 0o600)  # a strange umask, or a copy that somebody made
    return descriptor


def _asked(descriptor: int) -> int | None:
    if sys.platform == "linux":
        question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    else:
        question = _FLOCK.pack(0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
        _, _, pid, kind, _ = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    return None if kind == fcntl.F_UNLCK else int(pid)


def _forget() -> None:
    global _guard
    _guard = threading.Lock()
    for descriptor in _held.values():
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget)
