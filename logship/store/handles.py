"""Writing to file descriptors: completely, and to the disk."""

import os


def write_all(handle: int, data: bytes) -> None:
    """Write all of `data`. OSError if the disk refuses; a part may be written then."""
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def sync(handle: int) -> None:
    """Return when what was written survives a power cut."""
    # macOS has no fdatasync.
    getattr(os, "fdatasync", os.fsync)(handle)
