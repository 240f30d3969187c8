"""The state directory: whether workers can keep journals there, and how much disk space is free."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from logship.doctor.check import Check
from logship.errors import StateUnusable
from logship.search.units import size
from logship.settings import Settings
from logship.state.home import NETWORK_FILE_SYSTEMS, Home, file_system

LOW_SPACE_BYTES = 512 * 2**20
WHAT = "state directory"
UNTIL_THEN = "until then, journals are kept in memory"


def checks(settings: Settings) -> Iterator[Check]:
    """Yield one check."""
    path = Path(settings.state_dir)
    # A directory that does not exist yet is made by the first worker: its parent decides.
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    yield _unusable(path, existing) or _free_space(path, existing)


def _unusable(path: Path, existing: Path) -> Check | None:
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        reason = "is not writable by this user" if existing.is_dir() else "is not a directory"
        return Check(
            "wrong", WHAT, f"{existing} {reason}", f"set LOGSHIP_STATE_DIR to a writable directory; {UNTIL_THEN}"
        )
    try:
        Home(path).check()
    except StateUnusable as error:
        return Check("wrong", WHAT, str(error), UNTIL_THEN)
    kind = file_system(existing)
    if kind in NETWORK_FILE_SYSTEMS:
        problem = f"{path} is on {kind}, where file locks and memory mappings are not reliable"
        return Check("wrong", WHAT, problem, f"set LOGSHIP_STATE_DIR to a local disk; {UNTIL_THEN}")
    return None


def _free_space(path: Path, existing: Path) -> Check:
    kind, free_bytes = file_system(existing), shutil.disk_usage(existing).free
    volatile = " (emptied when the machine restarts)" if kind in ("tmpfs", "ramfs") else ""
    found = f"{path} on {kind or 'an unknown file system'}{volatile}, {size(free_bytes)} free"
    if free_bytes < LOW_SPACE_BYTES:
        return Check("look", WHAT, found, "free some disk space: workers drop events when the disk is full")
    return Check("good", WHAT, found)
