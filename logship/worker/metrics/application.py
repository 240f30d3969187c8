"""The metrics that the application defines with prometheus_client: their values are kept by slot, so that workers add up.

`SlotValue` takes the place of `prometheus_client.values.ValueClass`, from which each metric makes its values. A value is a
number in memory until its process holds a slot; from then on it is also in a file of the slot (`prometheus/application.py`).
Counters continue what earlier runs of the slot have counted; gauges begin anew. Not in prometheus_client's multiprocess mode."""

import contextlib
import os
import threading
import weakref
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from logship.state.home import make_directory
from logship.worker import internal_errors
from logship.worker.import_hook import Patch

# Reserved on disk, because a write into a mapping whose disk is full kills the process.
FIRST_BYTES: Final = 256 * 1024
MULTIPROCESS: Final = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")

_lock = threading.RLock()
_values: "weakref.WeakSet[SlotValue]" = weakref.WeakSet()
_store: "SlotStore | None" = None
_replaced = False


class SlotStore:
    """The files of one slot. Only the process that holds the slot opens them, and one thread at a time."""

    def __init__(self, folder: Path, slot: int, generation: int) -> None:
        """Open the files in `folder`; those of gauges of earlier runs are removed. OSError."""
        make_directory(folder)
        self.folder = folder
        self.slot = slot
        self._run = f"{slot}-{generation}"
        self._files: dict[str, Any] = {}
        for path in folder.glob(f"gauge_*_{slot}-*.db"):
            if path.stem.rpartition("_")[2] != self._run:
                path.unlink(missing_ok=True)

    def stored(self, kind: str, key: str) -> float:
        """Return the value under `key`, 0 for a new one. OSError if there is no room on the disk."""
        file = self._file(kind)
        if key not in file._positions:
            _reserve(file, len(key.encode()))
        value: float = file.read_value(key)[0]
        return value

    def write(self, kind: str, key: str, value: float, timestamp: float) -> None:
        """Store a value that `stored` was called for."""
        self._file(kind).write_value(key, value, timestamp)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def _file(self, kind: str) -> Any:
        file = self._files.get(kind)
        if file is None:
            from prometheus_client.mmap_dict import MmapedDict

            path = self.folder / f"{kind}_{self._run if kind.startswith('gauge_') else self.slot}.db"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                _allocate(descriptor, max(FIRST_BYTES, os.fstat(descriptor).st_size))
            finally:
                os.close(descriptor)
            file = self._files[kind] = MmapedDict(str(path))  # type: ignore[no-untyped-call]
        return file


def _reserve(file: Any, key_bytes: int) -> None:
    """Reserve the disk space that a new key may need; prometheus_client only extends the file."""
    if file._used + key_bytes + 64 > file._capacity:
        _allocate(file._f.fileno(), file._capacity * 2)


def _allocate(descriptor: int, size_bytes: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size_bytes)
    else:  # macOS
        os.ftruncate(descriptor, size_bytes)


class SlotValue:
    """One number of a metric, as prometheus_client's `MutexValue`: `get` returns what this process has counted."""

    _multiprocess = False

    def __init__(
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: Any,
        labelvalues: Any,
        help_text: str,
        multiprocess_mode: str = "",
        **_: object,
    ) -> None:
        from prometheus_client.mmap_dict import mmap_key

        self._is_gauge = typ == "gauge"
        self._kind = f"{typ}_{multiprocess_mode}" if self._is_gauge else typ
        self._key = mmap_key(metric_name, name, labelnames, labelvalues, help_text)
        self._value = 0.0
        self._timestamp = 0.0
        # Of a counter: what its file holds beyond `_value`, from earlier runs; and what is in the file of an earlier slot.
        self._before = self._elsewhere = 0.0
        self._exemplar: object = None
        self._attached = False
        with _lock:
            _values.add(self)
            if _store is not None:
                self.attach(_store)

    def inc(self, amount: float) -> None:
        """Add `amount`."""
        with _lock:
            self._change(self._value + amount, 0.0)

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Set the value. `timestamp`: seconds since 1970, for the mode mostrecent."""
        with _lock:
            self._change(value, timestamp or 0.0)

    def get(self) -> float:
        """Return the value in this process."""
        return self._value

    def set_exemplar(self, exemplar: object) -> None:
        """Remember an exemplar, in this process."""
        self._exemplar = exemplar

    def get_exemplar(self) -> object:
        """Return the last exemplar of this process."""
        return self._exemplar

    def _change(self, value: float, timestamp: float) -> None:
        self._value, self._timestamp = value, timestamp
        if self._attached and _store is not None:
            try:
                _store.write(self._kind, self._key, self._before + value, timestamp)
            except Exception as error:  # nothing may be raised into the application
                self._attached = False
                internal_errors.report(error)

    def attach(self, store: SlotStore) -> None:
        """Write the value to `store` from now on. A full disk, or an unknown prometheus_client, leaves it in memory."""
        try:
            stored = store.stored(self._kind, self._key)
            self._before = 0.0 if self._is_gauge else stored - self._elsewhere
            store.write(self._kind, self._key, self._before + self._value, self._timestamp)
            self._attached = True
        except Exception as error:
            self._attached = False
            if not isinstance(error, OSError):
                internal_errors.report(error)

    def detach(self) -> None:
        """Stop writing. What was counted stays in the file; a file of another slot gets what comes after."""
        if self._attached:
            self._elsewhere = self._value
        self._attached = False

    def begin_again(self) -> None:
        """In a forked child: counters begin at 0, because the parent counts the rest; gauges keep their value."""
        self._attached = False
        self._elsewhere = 0.0
        if not self._is_gauge:
            self._value = 0.0


def is_used() -> bool:
    """Return whether the application's metrics are kept by slot in this process."""
    return _replaced


def attach(folder: Path, slot: int, generation: int) -> None:
    """Keep all values in the files of `slot` from now on; this process holds its lock. OSError if they cannot be opened.

    `generation`: the number of this run in the slot, for gauges."""
    global _store
    with _lock:
        if _store is not None and (_store.folder, _store.slot) == (folder, slot):
            return
        before, _store = _store, None
        for value in list(_values):
            value.detach()
        if before is not None:
            before.close()
        _store = SlotStore(folder, slot, generation)
        for value in list(_values):
            value.attach(_store)


def _forget() -> None:
    global _store, _lock
    _lock = threading.RLock()
    store, _store = _store, None
    for value in list(_values):
        value.begin_again()
    if store is not None:
        with contextlib.suppress(Exception):
            store.close()


def _patch(module: ModuleType) -> None:
    global _replaced
    if not any(name in os.environ for name in MULTIPROCESS):
        module.ValueClass = SlotValue  # type: ignore[attr-defined]
        _replaced = True
        os.register_at_fork(after_in_child=_forget)


PATCHES: dict[str, Patch] = {"prometheus_client.values": _patch}
