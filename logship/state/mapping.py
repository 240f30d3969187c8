"""Mapped files: made once in full size, written by one process, never truncated (a reader would die of SIGBUS).

Files that another process left are opened with care: only regular files of our own user, through no symbolic link,
without ever waiting (a FIFO), and never more bytes than their format has. Everything that is made here is 0600.
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

    `present`: its pages are there as well; else each costs a page fault when it is first written. OSError if the disk is
    full: it must surface here, and never as SIGBUS in a request."""
    if path is None:
        return mmap.mmap(-1, size_bytes)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)  # a strange umask may have taken the owner's bits
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
    """Make every page writable now: mmap's own populate flag leaves the first write fault on ext4 (measured).

    The kernel writes zeros into the mapping: `readv` gives the interpreter lock away while it does, and `madvise` with
    MADV_POPULATE_WRITE does not (400 MB: every thread stood still for 150 ms; beside a busy disk a page can take longer)."""
    try:
        zeros = os.open("/dev/zero", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # no /dev: touch the pages from here
        for start in range(0, size_bytes, mmap.PAGESIZE):
            mapped[start] = 0
        return
    try:
        os.readv(zeros, [mapped])
    finally:
        os.close(zeros)


def open_regular(path: Path, flags: int) -> int:
    """Return a descriptor of the regular file at `path`. JournalUnreadable for anything else and for another user's file.

    Root may read the files of another user (`logship doctor`), and does not write them."""
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
    """Return a writable mapping of a file of `size_bytes` that another life of a worker left.

    JournalUnreadable if it is not a regular file of our user and of that size."""
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

    Without a mapping of our own, which would be one of a file that may be truncated. JournalUnreadable if it is not a
    regular file of our user."""
    descriptor = open_regular(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, min(os.fstat(descriptor).st_size, most_bytes), 0)
    finally:
        os.close(descriptor)
