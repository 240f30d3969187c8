"""The directory of a journal: its size, and how it is removed."""

import contextlib
import os
import stat
import time
from pathlib import Path

from logship.state import home


def size_bytes(directory: Path) -> int:
    """Return the bytes that the files of the journal at `directory` take on disk; 0 if it does not exist."""
    try:
        return sum(file.stat().st_size for file in directory.iterdir())
    except FileNotFoundError:
        return 0


def remove(directory: Path) -> None:
    """Remove the journal at `directory`. It is renamed first, with a dot, so that no reader sees half of it as a journal.

    Symbolic links are not followed. What is not a file stays, under the new name."""
    doomed = directory.with_name(f".{directory.name}.gone")
    try:
        directory.rename(doomed)
    except OSError:
        return
    empty(doomed)


def empty(doomed: Path) -> bool:
    """Remove the directory `doomed` and the files in it. False if something stays, such as a directory within it.

    A symbolic link at `doomed` is not followed."""
    if not stat.S_ISDIR(doomed.lstat().st_mode):
        return False
    for name in os.listdir(doomed):
        with contextlib.suppress(IsADirectoryError, PermissionError, FileNotFoundError):
            (doomed / name).unlink()
    try:
        doomed.rmdir()
    except OSError:
        return False
    return True


def sweep_unfinished(state: Path, older_than_seconds: float = 3600.0) -> int:
    """Remove directories that a crash left half made or half removed. Return how many were removed."""
    removed = 0
    for path in home.Home(state).journals.glob(".*"):
        try:
            if time.time() - path.lstat().st_mtime >= older_than_seconds and home.is_ours(path):
                removed += empty(path)
        except OSError:
            continue
    return removed
