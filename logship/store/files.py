"""The files of a store. The complete state of a store is in the names of its files.

    00000257.ndjson                              log 257: one JSON object a line, in order of arrival
    00000240-00000249.50000.<t0>.<t1>.parquet    logs 240 to 249 sealed: rows, first and last "@timestamp" in ns
    00000240-00000249.50000.<t0>.<t1>.ids        event ids in that segment, see `store/ids.py`; can be rebuilt
    hours.ndjson, hours.bad                      totals of each hour, for longer than the events, see `store/hours.py`
    dead.ndjson, dead.old.ndjson                 records that cannot be stored: {"@timestamp", "reason", "record"}
    00000240-00000249.50000.<t0>.<t1>.bad        a damaged segment that was set aside; never deleted, its .ids stays too
    00000257.bad                                 damaged lines of log 257, or all of it; never deleted
    *.tmp                                        being written
    spill.<pid>.<any>                            a directory: what a query of that process has no memory for
    chain                                        digests of all segments, one record after another, see `store/chain/record.py`
    chain.1.bad                                  an earlier chain that could not be verified; never deleted
    lock                                         locked by the one writer, contains its pid

Only the log with the highest number is appended to; events are acknowledged after its fdatasync. A crash can leave a torn last
line in it, a *.tmp, and files whose logs are in a wider segment already: `Store` removes them, readers ignore them. The log
numbers are consecutive: a gap means that the directory changed while it was listed, so it is listed again. Segments never
change: a wider one supersedes them, or retention removes the oldest. A damaged segment is renamed and its numbers still count.
A segment without rows stands for logs that were removed.

Every row has a position, `_n`: log number * 2**24 + line. It never changes and grows in order of arrival, which is also the
order of rows in a segment: close enough to the order of time for Parquet to skip row groups.
"""

import itertools
import os
import re
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from logship.errors import StoreError, StoreMissing

POSITION_BITS = 24
DEAD_LETTERS = "dead.ndjson"
OLD_DEAD_LETTERS = "dead.old.ndjson"
LOCK = "lock"

_SPILL = re.compile(r"spill\.(\d+)\.\w+")
_LOG = re.compile(r"(\d{8,})\.ndjson")
_SEGMENT = re.compile(r"(\d{8,})-(\d{8,})\.(\d+)\.(-?\d+)\.(-?\d+)\.parquet")
_DAMAGED = re.compile(r"(\d{8,})-(\d{8,})\.(\d+)\.(-?\d+)\.(-?\d+)\.bad")
DAMAGED_LINES = re.compile(r"(\d{8,})\.bad")
_LISTINGS = 6


@dataclass(frozen=True, slots=True)
class Segment:
    """Logs `first` to `last` in one Parquet file of `rows` rows, from `oldest_ns` to `newest_ns` (both included)."""

    first: int
    last: int
    rows: int
    oldest_ns: int
    newest_ns: int

    @property
    def stem(self) -> str:
        return f"{self.first:08d}-{self.last:08d}.{self.rows}.{self.oldest_ns}.{self.newest_ns}"

    @property
    def name(self) -> str:
        return self.stem + ".parquet"

    @property
    def ids_name(self) -> str:
        return self.stem + ".ids"

    @property
    def bad_name(self) -> str:
        return self.stem + ".bad"


@dataclass(frozen=True, slots=True)
class Listing:
    """The files that hold every record once: `segments` and `logs` in order of their numbers.

    `covered`: names of superseded files; `damaged`: segments that were set aside and are in no other file."""

    segments: tuple[Segment, ...]
    logs: tuple[int, ...]
    covered: tuple[str, ...]
    damaged: tuple[Segment, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the log numbers are consecutive, from the first readable one."""
        spans = sorted([(segment.first, segment.last) for segment in self.segments] + [(log, log) for log in self.logs])
        aside = [(segment.first, segment.last) for segment in self.damaged]
        return all(_beyond(before[1] + 1, aside) >= after[0] for before, after in itertools.pairwise(spans))

    @property
    def next_log(self) -> int:
        return max([one.last for one in (*self.segments, *self.damaged)] + list(self.logs), default=-1) + 1


def log_name(number: int) -> str:
    """Return the file name of a log."""
    return f"{number:08d}.ndjson"


def log_of(position: int) -> int:
    """Return the number of the log that a row arrived in."""
    return position >> POSITION_BITS


def number_of(name: str) -> int:
    """Return the number of a log, or of the first log in a segment, from the name of a file that is one."""
    return int(re.match(r"\d+", name)[0])  # type: ignore[index]


def segment_of(name: str) -> Segment | None:
    """Return the segment with this file name, None for other files."""
    match = _SEGMENT.fullmatch(name)
    return Segment(*map(int, match.groups())) if match else None


def listing(names: list[str]) -> Listing:
    """Return the listing of these file names: a wider segment supersedes others, and a segment its logs."""
    found = sorted(
        (Segment(*map(int, match.groups())) for match in map(_SEGMENT.fullmatch, names) if match),
        # Of two for the same logs the one with fewer rows is newer: retention made it.
        key=lambda segment: (segment.first, -segment.last, segment.rows),
    )
    damaged = sorted(
        (Segment(*map(int, match.groups())) for match in map(_DAMAGED.fullmatch, names) if match),
        key=lambda segment: (segment.first, -segment.last),
    )
    live: list[Segment] = []
    covered: list[str] = []
    for segment in found:
        if not live or segment.last > live[-1].last:
            live.append(segment)
        else:
            covered += [segment.name, segment.ids_name]
    sealed = [(segment.first, segment.last) for segment in live]
    logs = []
    for number in sorted(int(match[1]) for match in map(_LOG.fullmatch, names) if match):
        if any(first <= number <= last for first, last in sealed):
            covered.append(log_name(number))
        else:
            logs.append(number)
    held = sealed + [(number, number) for number in logs]
    return Listing(
        tuple(live),
        tuple(logs),
        tuple(name for name in covered if name in names),
        tuple(one for one in damaged if _beyond(one.first, held) <= one.last),
    )


def _beyond(number: int, spans: list[tuple[int, int]]) -> int:
    """The first number from `number` on that is in none of the spans."""
    for first, last in sorted(spans):
        if first <= number <= last:
            number = last + 1
    return number


def read_listing(directory: Path) -> Listing:
    """List a store that may be changing. A gap that persists is accepted: a file was removed by other means.

    StoreMissing if there is no store."""
    for attempt in range(_LISTINGS):
        try:
            names = os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            names = []
        except PermissionError as error:
            raise unreadable(directory, error) from error
        now = listing(names)
        if directory.is_file():
            raise StoreMissing(f"{directory} is a file, not the directory of a store; import it with: logship import")
        if LOCK not in names and not now.segments and not now.logs:
            raise StoreMissing(f"there is no store in {directory}; start `logship up`, or name another with --source")
        if now.whole:
            break
        time.sleep(0.005 * attempt)
    return now


def unreadable(directory: Path, error: PermissionError) -> StoreError:
    """Return the error for a store that this user may not read, with its owner and the next step."""
    try:
        owner = f"it belongs to user {directory.stat().st_uid}"
    except OSError:
        owner = "a directory above it is closed to this user"
    return StoreError(
        f"{error.filename or directory}: {error.strerror}; {owner}, and this process runs as user {os.geteuid()}. Run the command"
        " as that user, or query its collector: --source http://HOST:24280"
    )


def new_spill(directory: Path) -> Path | None:
    """Return a new directory name for what a database has no memory for; None if the store is not writable."""
    if os.path.exists(directory) and not os.access(directory, os.W_OK):
        return None
    return directory / f"spill.{os.getpid()}.{uuid.uuid4().hex[:8]}"


def remove_left_spills(directory: Path) -> int:
    """Remove the spill directories of processes that were killed during a query, and return their number."""
    left = [name for name in os.listdir(directory) if (found := _SPILL.fullmatch(name)) and not _runs(int(found[1]))]
    for name in left:
        shutil.rmtree(directory / name, ignore_errors=True)
    return len(left)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's process
        return True
    return True


def sync_directory(directory: Path) -> None:
    """Return when the file names in `directory` survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def private(path: str | Path, flags: int) -> int:
    """Open a file for `open(..., opener=private)`: a new file is readable by its user only."""
    return os.open(path, flags, 0o600)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, sync and rename it. Only its user may read it, whatever the umask."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb", opener=private) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
