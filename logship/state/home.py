"""The state directory: it holds journals and slots, which survive their processes.

    <state>/journals/<24 hex>/    one incarnation: lock, identity, inflight, 00000001.segment …
    <state>/slots/<service>@<instance>/<n>.slot
    <state>/metrics/<service>@<instance>/   numbers of workers, `state/metric_totals.py`
    <state>/refused/              records that the agent refused, sent alone
    <state>/unreadable/           segments with unreadable records

Directories are created with mode 0700 and files with 0600, whatever the umask. A state directory that belongs to another
user, or that others may write, is refused: they could add or remove files. The directories above it are not checked. What
has a name that begins with a dot is not complete and is not read.
"""

import os
import re
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from logship.errors import StateUnusable

# fcntl locks and shared mappings are not reliable there (on NFS a lock can vanish, and a page can be stale).
NETWORK_FILE_SYSTEMS = frozenset(
    "nfs nfs4 cifs smb3 smbfs 9p afs ceph fuse.ceph fuse.sshfs fuse.glusterfs glusterfs lustre beegfs".split()
)
_INCARNATION = re.compile(r"[0-9a-f]{24}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._@:-]+")


@dataclass(frozen=True, slots=True)
class Home:
    """The paths in a state directory, whether they exist or not. `open_home` makes and checks them."""

    path: Path

    @property
    def journals(self) -> Path:
        """The directory of all journals."""
        return self.path / "journals"

    @property
    def slots(self) -> Path:
        """The directory of the slots' lock files."""
        return self.path / "slots"

    @property
    def metrics(self) -> Path:
        """The directory of the metrics of all services."""
        return self.path / "metrics"

    @property
    def refused(self) -> Path:
        """The directory of records that an agent refused."""
        return self.path / "refused"

    @property
    def unreadable(self) -> Path:
        """The directory of segments with damage."""
        return self.path / "unreadable"

    def journal(self, incarnation: str) -> Path:
        """Return the directory of the journal of `incarnation`."""
        return self.journals / incarnation

    def incarnations(self) -> list[str]:
        """Return the names of the journals, oldest directory first; [] without a state directory."""
        found = []
        try:
            with os.scandir(self.journals) as entries:
                for entry in entries:
                    if _INCARNATION.fullmatch(entry.name):
                        try:
                            if entry.is_dir(follow_symlinks=False):
                                found.append((entry.stat(follow_symlinks=False).st_ctime_ns, entry.name))
                        except FileNotFoundError:
                            continue
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [name for _, name in sorted(found)]

    def strangers(self) -> list[Path]:
        """Return what is named like a journal but is not a directory, such as a symbolic link. OSError if unreadable."""
        with os.scandir(self.journals) as entries:
            return [
                self.journal(entry.name)
                for entry in entries
                if _INCARNATION.fullmatch(entry.name) and not entry.is_dir(follow_symlinks=False)
            ]

    def check(self) -> None:
        """Raise StateUnusable if the state directory or a directory in it belongs to another user, or others may write it.

        A directory that is missing is in order: it will be made by this user."""
        _check(self.path, self.path.stat)
        for folder in (self.journals, self.slots, self.metrics, self.refused, self.unreadable):
            _check(folder, folder.lstat)


def home_of(journal: Path) -> Home:
    """Return the state directory that holds the journal at the path `journal`."""
    return Home(journal.parent.parent)


def safe_name(text: str) -> str:
    """Return `text` as a file name: characters other than letters, digits and `._@:-` become `_`; not empty, not hidden."""
    return _UNSAFE.sub("_", text)[:120].lstrip(".") or "_"


def open_home(path: Path) -> Home:
    """Make and check the state directory at `path`, and return it. StateUnusable if it cannot hold a journal."""
    if sys.platform == "win32":
        raise StateUnusable("journals need POSIX locks and mappings, which Windows does not have")
    home = Home(path)
    try:
        for folder in (path, home.journals, home.slots):
            make_directory(folder)
        home.check()
        probe = home.journals / f".probe-{os.getpid()}"
        os.close(os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
        probe.unlink()
    except StateUnusable:
        raise
    except OSError as error:
        raise StateUnusable(
            f"{path} is not writable ({error.strerror}): set LOGSHIP_STATE_DIR to a writable directory"
        ) from error
    kind = file_system(path)
    if kind in NETWORK_FILE_SYSTEMS:
        raise StateUnusable(
            f"{path} is on a network file system ({kind}): set LOGSHIP_STATE_DIR to a local directory"
        )
    return home


def make_directory(path: Path) -> None:
    """Make `path` and missing directories above it, each with mode 0700. A directory that exists is not changed."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    except FileNotFoundError:
        if path.parent == path:
            raise
        make_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)


def is_ours(directory: Path) -> bool:
    """Return whether `directory` is a directory (no link) that belongs to this user and that others may not write."""
    try:
        _check(directory, directory.lstat)
    except OSError:
        return False
    return directory.exists()


def _check(path: Path, look: Callable[[], os.stat_result]) -> None:
    try:
        status = look()
    except FileNotFoundError:
        return
    mode = stat.S_IMODE(status.st_mode)
    advice = "set LOGSHIP_STATE_DIR to a separate directory (it is created if it does not exist)"
    if not stat.S_ISDIR(status.st_mode):
        raise StateUnusable(f"{path} is not a directory: {advice}")
    if status.st_uid != os.geteuid():
        raise StateUnusable(f"{path} belongs to uid {status.st_uid} and this process runs as {os.geteuid()}: {advice}")
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StateUnusable(f"{path} can be written by other users (mode {mode:04o}): run chmod go-w on it, or {advice}")


def file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """Return the type of the file system of `path`, for instance "ext4"; "" where the system has no list of mounts."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    target = str(path.resolve())
    best, kind = "", ""
    for line in lines:
        words = line.split()
        if len(words) < 3:
            continue
        point = words[1].replace("\\040", " ")
        inside = target == point or target.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, words[2]
    return kind
