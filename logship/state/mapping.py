"""Mapped files: made once in full size, written by one process, never truncated (a reader would die of SIGBUS)."""

import mmap
import os
from pathlib import Path


def make(path: Path | None, size_bytes: int) -> mmap.mmap:
    """Return a new mapping of `size_bytes` zeros, its disk space reserved and its pages present; anonymous without `path`.

    OSError if the disk is full: it must surface here, and never as SIGBUS in a request."""
    if path is None:
        return mmap.mmap(-1, size_bytes)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _reserve(descriptor, size_bytes)
        mapped = mmap.mmap(descriptor, size_bytes)
    except BaseException:
        os.unlink(path)
        raise
    finally:
        os.close(descriptor)
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


def map_existing(path: Path) -> mmap.mmap:
    """Return a writable mapping of a whole file that another life of a worker left."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return mmap.mmap(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def read(path: Path) -> bytes:
    """Return the bytes of a file that another process may be writing through a mapping (no mapping of our own)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)
