"""Mapped files: created with their full size, written by one process, never truncated (readers would get SIGBUS).

Files of another process are opened with care: only regular files of this user, without following links, without waiting
(for a FIFO), and at most as many bytes as their format has. Files are created with mode 0600.
"""

import errno
import mmap
import os
import stat
from pathlib import Path

from logship.errors import JournalUnreadable

FILE_MODE = 0o600


def make(path: Path | None, size_bytes: int, present: bool = True) -> mmap.mmap:
    """Return a new mapping of `size_bytes` zeros, its disk space reserved; anonymous without `path`.

    `present`: its pages are prefaulted; otherwise the first write to each page is a page fault. OSError if the disk is full:
    the error must occur here, and not as SIGBUS in a request."""
    if path is None:
        return mmap.mmap(-1, size_bytes)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)  # an unusual umask may remove permissions of the owner
        _reserve(descriptor, size_bytes)
        mapped = mmap.mmap(descriptor, size_bytes)
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(descriptor)
    if present:
        _populate(mapped, size_bytes)
    return mapped


def _reserve(descriptor: int, size_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size_bytes)
        return
    for start in range(0, size_bytes, 1 << 16):  # macOS: only written bytes are reserved
        os.pwrite(descriptor, bytes(min(1 << 16, size_bytes - start)), start)


def _populate(mapped: mmap.mmap, size_bytes: int) -> None:
    """Make every page writable now. The populate flag of mmap leaves the first write fault on ext4 (measured).

    The kernel writes zeros into the mapping. `readv` releases the interpreter lock meanwhile; `madvise` with
    MADV_POPULATE_WRITE does not (400 MB blocked every thread for 150 ms, longer beside a busy disk)."""
    try:
        zeros = os.open("/dev/zero", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # no /dev: write to the pages here
        for start in range(0, size_bytes, mmap.PAGESIZE):
            mapped[start] = 0
        return
    try:
        os.readv(zeros, [mapped])
    finally:
        os.close(zeros)


def open_regular(path: Path, flags: int) -> int:
    """Return a descriptor of the regular file at `path`. JournalUnreadable for anything else, and for a file of another user.

    Root may read files of other users (for `logship doctor`), but not write them."""
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EMLINK, errno.ENXIO}:
            raise JournalUnreadable(f"{path} is not a regular file; it is not opened") from error
        raise
    status = os.fstat(descriptor)
    ours = status.st_uid == os.geteuid() or (os.geteuid() == 0 and flags & os.O_ACCMODE == os.O_RDONLY)
    if stat.S_ISREG(status.st_mode) and ours:
        return descriptor
    os.close(descriptor)
    if ours:
        raise JournalUnreadable(f"{path} is not a regular file; it is not opened")
    raise JournalUnreadable(f"{path} belongs to uid {status.st_uid}, not to {os.geteuid()}; it is not opened")


def map_existing(path: Path, size_bytes: int) -> mmap.mmap:
    """Return a writable mapping of an existing file of `size_bytes`.

    JournalUnreadable if it is not a regular file of this user and of that size."""
    descriptor = open_regular(path, os.O_RDWR)
    try:
        found = os.fstat(descriptor).st_size
        if found != size_bytes:
            raise JournalUnreadable(f"{path} has {found} bytes, not {size_bytes}; it is kept")
        return mmap.mmap(descriptor, size_bytes)
    finally:
        os.close(descriptor)


def read(path: Path, most_bytes: int) -> bytes:
    """Return the first `most_bytes` of a file that another process may be writing through a mapping.

    It is not mapped, because it could be truncated meanwhile. JournalUnreadable if it is not a regular file of this user."""
    descriptor = open_regular(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, min(os.fstat(descriptor).st_size, most_bytes), 0)
    finally:
        os.close(descriptor)
