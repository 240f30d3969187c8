"""The chain of a store that is being written. What it records and when is in `record.py`."""

import contextlib
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from logship.search.times import rfc3339
from logship.store import ids
from logship.store.chain.keys import Keys
from logship.store.chain.record import CHAIN, ChainBroken, encode, parse, records, sha256_of
from logship.store.chain.state import ChainState
from logship.store.files import Segment, read_listing, sync_directory
from logship.store.handles import sync, write_all

# Hashed in one round of the background thread: a quarter of a second.
KNOWN_BYTES = 128 * 2**20

_logger = logging.getLogger("logship.store")


class Chain:
    """The chain of the store in `directory`, which its writer has locked. Both background threads record.

    A chain that cannot be verified is set aside, and a new one begins. OSError if neither is possible."""

    def __init__(self, directory: Path, keys: Keys) -> None:
        self._directory, self._keys = directory, keys
        self._path = directory / CHAIN
        self._turn = threading.Lock()
        self._handle, self._size = -1, 0
        self.state = ChainState()
        self._open()
        self.complete_some(lambda: False)

    def sealed(self, segment: Segment) -> None:
        """Record a segment of logs that has its name now. OSError if the disk refuses; the segment is removed again then."""
        try:
            self._append("seal", segment=self._described(segment, self._directory / segment.name))
        except BaseException:
            # The logs are still there. Without its record the segment would look as if another process had added it.
            (self._directory / segment.name).unlink(missing_ok=True)
            raise

    def replacing(self, kind: str, parts: Iterable[Segment], segment: Segment, written: Path) -> None:
        """Record that a segment replaces others, before the file `written` gets its name. OSError if the disk refuses."""
        replaced = {part.name: self._recorded(part) for part in parts}
        self._append(kind, segment=self._described(segment, written), parts=replaced)

    def removing(self, segment: Segment) -> None:
        """Record that retention removes a segment, before it does. OSError if the disk refuses."""
        self._append("remove", segments=[segment.name])

    def matches(self, segment: Segment) -> bool:
        """Return whether a segment is what was recorded. Reads it. What is replaced must be: its evidence is gone after that."""
        with self._turn:
            entry = self.state.entry(segment.name)
        return entry is not None and (not entry.sha256 or entry.sha256 == sha256_of(self._directory / segment.name))

    def complete_some(self, stopping: Callable[[], bool]) -> None:
        """Record the digests of segments from before the chain, up to KNOWN_BYTES."""
        with self._turn:
            unknown = {name for name, entry in self.state.live.items() if not entry.sha256}
        left_bytes = KNOWN_BYTES
        for segment in self._segments() if unknown else ():
            if segment.name not in unknown or left_bytes <= 0 or stopping():
                continue
            path = self._directory / segment.name
            left_bytes -= path.stat().st_size
            self._append("known", segment=self._described(segment, path))

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _open(self) -> None:
        there = dict.fromkeys((one.name for one in self._segments()), None)
        try:
            data = self._path.read_bytes() if self._path.exists() else b""
            if b"\n" not in data:  # a kill while the first record was written
                self._path.unlink(missing_ok=True)
                self._begin(there, "")
                return
            self.state = ChainState.of(records(data, self._keys))
        except (ChainBroken, OSError) as error:
            self._set_aside(str(error), there)
            return
        self._handle = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        self._size = data.rfind(b"\n") + 1
        if self._size < len(data):
            os.ftruncate(self._handle, self._size)
        if self.state.unsigned < self.state.records and not self._keys:
            _logger.warning("%s is signed, and LOGSHIP_INTEGRITY_KEY_FILE is not set: new records are not signed", self._path)
        self._complete()

    def _complete(self) -> None:
        """Do what a kill has left undone: delete what was to be removed, and record segments that have no record yet."""
        for name in self.state.removed:
            if name not in self.state.live:
                (self._directory / name).unlink(missing_ok=True)
                (self._directory / name).with_suffix(".ids").unlink(missing_ok=True)
        for segment in self._segments():
            if segment.first > self.state.last_log:
                self._append("seal", segment=self._described(segment, self._directory / segment.name))

    def _segments(self) -> tuple[Segment, ...]:
        return read_listing(self._directory).segments

    def _begin(self, segments: Mapping[str, str | None], after: str) -> None:
        self.state, self._size = ChainState(), 0
        self._handle = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        sync_directory(self._directory)
        self._write("begin", {"store": secrets.token_hex(8), "segments": segments, "after": after or None})

    def _set_aside(self, why: str, segments: Mapping[str, str | None]) -> None:
        """Rename the chain and begin another one. `segments`: what is known of those that must be there."""
        number = 1
        while (aside := self._path.with_name(f"{CHAIN}.{number}.bad")).exists():
            number += 1
        with contextlib.suppress(FileNotFoundError):
            self._path.rename(aside)
        _logger.error("%s cannot be verified: %s; it is kept as %s, and a new chain begins", self._path, why, aside.name)
        self._begin(segments, f"{aside.name} was set aside: {why}")

    def _described(self, segment: Segment, path: Path) -> dict[str, str]:
        digest = ids.digest(self._directory, segment)
        return {"name": segment.name, "sha256": sha256_of(path), "ids": digest}

    def _recorded(self, part: Segment) -> str:
        """The digest that a part has by the chain; by its file if the chain has none."""
        with self._turn:
            entry = self.state.entry(part.name)
        return entry.sha256 if entry is not None and entry.sha256 else sha256_of(self._directory / part.name)

    def _append(self, kind: str, **fields: object) -> None:
        with self._turn:
            found = os.fstat(self._handle)
            if found.st_size != self._size or not found.st_nlink:
                known = {name: entry.sha256 or None for name, entry in self.state.live.items()}
                os.close(self._handle)
                self._set_aside("it was changed while the collector ran", known)
            self._write(kind, fields)

    def _write(self, kind: str, fields: Mapping[str, Any]) -> None:
        record = {"n": self.state.records, "time": rfc3339(time.time_ns()), "kind": kind, **fields}
        line = encode(record, self.state.digest, self._keys)
        try:
            write_all(self._handle, line)
            sync(self._handle)
        except BaseException:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += len(line)
        self.state.apply(parse(line, self.state.records, self.state.digest))
