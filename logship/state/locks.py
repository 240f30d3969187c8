"""Owner locks: a POSIX record lock shows that its process is alive. The kernel frees it when the process ends, even by SIGKILL.

If the owner closes any descriptor of a locked file, the lock is freed, and a second descriptor of the same process can
obtain it again. So only this registry opens lock files in a process, and never one that it holds. A lock is not inherited
by fork: the child starts with an empty registry.
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
    """Lock the file at `path` (created with mode 0600). Return False if this or another process holds the lock."""
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
    """Return the descriptor of a lock that this process holds; KeyError if it does not."""
    return _held[str(path)]


def still_there(path: Path) -> bool:
    """Return whether `path` still names the locked file, and was not removed or replaced."""
    try:
        mine, named = os.fstat(_held[str(path)]), os.stat(path)
    except (KeyError, OSError):
        return False
    return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)


def renamed(old: Path, new: Path) -> None:
    """Record that a locked file has a new path, because its directory was renamed."""
    with _guard:
        _held[str(new)] = _held.pop(str(old))


def release(path: Path) -> None:
    """Free a lock of this process; no effect if the process does not hold it."""
    with _guard:
        descriptor = _held.pop(str(path), None)
        if descriptor is not None:
            os.close(descriptor)


def holder(path: Path) -> int | None:
    """Return the pid of the process that holds the lock, this one included; None if it is free. Does not take the lock."""
    key = str(path)
    with _guard:
        if key in _held:
            return os.getpid()
        try:
            descriptor = _open(path, os.O_RDWR)
        except OSError:
            return None
        try:
            return _holder_of(descriptor)
        finally:
            os.close(descriptor)


def _open(path: Path, flags: int) -> int:
    """Return a descriptor of a regular file, without following a link or waiting. OSError for anything else.

    Closing it frees a lock of this process on the same file: do not call this for a lock that is held."""
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != 0o600:
        os.fchmod(descriptor, 0o600)  # an unusual umask, or a copied file
    return descriptor


def _holder_of(descriptor: int) -> int | None:
    if sys.platform == "linux":
        request = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, request))
    else:
        request = _FLOCK.pack(0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
        _, _, pid, kind, _ = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, request))
    return None if kind == fcntl.F_UNLCK else int(pid)


def _forget() -> None:
    global _guard
    _guard = threading.Lock()
    for descriptor in _held.values():
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget)
