"""The integrity of a store: its chain, the files that the chain names, and anchors that were kept elsewhere."""

import os
import re
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb

from logship.errors import StoreError
from logship.search.integrity import Anchor, Flaw, Integrity, IntegrityKind
from logship.search.query import Query
from logship.store.chain.judge import Compared, compare_anchors, compare_ids, compare_names
from logship.store.chain.keys import Keys, read_keys
from logship.store.chain.reader import ChainContent, ChainReader
from logship.store.chain.record import CHAIN, sha256_of
from logship.store.chain.sentence import sentence
from logship.store.chain.state import Entry, parsed
from logship.store.files import listing, log_name

_ASIDE = re.compile(r"chain\.\d+\.bad")
# A running collector changes files and chain between two looks.
_LOOKS = 6


@dataclass(slots=True)
class _Look:
    """One look at a store. `names`: its files, listed when the chain had `records_before` records and before `data` was read."""

    names: list[str]
    records_before: int
    data: bytes
    content: ChainContent


class ChainCheck:
    """Checks the store in `directory`. Any thread may use it.

    A file is read again only after its size, inode or change time is another one. `limit_bytes`: read at most so much in one
    check, 0 for no limit."""

    def __init__(self, directory: Path, key_file: str = "", limit_bytes: int = 0) -> None:
        self._directory, self._key_file, self._limit_bytes = directory, key_file, limit_bytes
        self._reader = ChainReader()
        self._known: dict[tuple[str, int, int, int], str] = {}

    def anchor(self) -> Anchor:
        """Return the newest record of the chain. StoreError if there is no chain, or it cannot be verified."""
        content = self._reader.content(self._read(), read_keys(self._key_file))
        state = content.state
        if content.broken or not state.records:
            raise StoreError(f"{self._directory}: {content.broken or 'the store has no chain yet; start `logship up`'}")
        return Anchor(state.store, state.records - 1, state.digest, state.time)

    def integrity(self, query: Query, anchors: Sequence[Anchor] = ()) -> Integrity:
        """Return the verdict on the chain, and on the segments that may hold events in the time of `query`."""
        keys = read_keys(self._key_file)
        for attempt in range(_LOOKS):
            look = self._look(keys, [anchor.record for anchor in anchors])
            found = self._judge(look, query, anchors, keys)
            if found.finding != "changed" or look.data == self._read():
                break
            time.sleep(0.02 * attempt)
        return found

    def _read(self) -> bytes:
        try:
            return (self._directory / CHAIN).read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StoreError(f"{self._directory / CHAIN} cannot be read: {error.strerror}") from error

    def _look(self, keys: Keys, wanted: Collection[int]) -> _Look:
        records_before = self._read().count(b"\n")
        names = os.listdir(self._directory) if self._directory.is_dir() else []
        data = self._read()
        return _Look(names, records_before, data, self._reader.content(data, keys, wanted))

    def _judge(self, look: _Look, query: Query, anchors: Sequence[Anchor], keys: Keys) -> Integrity:
        content, state, now = look.content, look.content.state, listing(look.names)
        compared = Compared()
        if state.records:
            compared = compare_names(state, look.names, look.records_before, query)
        before = [Flaw(name, "this chain could not be verified") for name in sorted(filter(_ASIDE.fullmatch, look.names))]
        broken = [Flaw(CHAIN, f"{content.broken}: it was changed, or is damaged")] if content.broken else []
        contradicted = compare_anchors(anchors, state, content.digests)
        read, differing = self._compare_content(compared.to_read)
        flaws = (*broken, *before, *contradicted, *state.flaws, *compared.flaws, *differing)
        matched = [anchor.record for anchor in anchors] if anchors and not contradicted else []
        anchored_to = max(matched, default=None)
        newer = sum(entry.record > anchored_to for entry in compared.to_read.values()) if anchored_to is not None else 0
        removed = sum(rows for number, rows in state.removals if anchored_to is not None and number > anchored_to)
        fill = partial(
            Integrity, flaws=flaws, store=state.store, began=state.began, records=state.records,
            segments=len(compared.to_read), read=read, after_anchor=newer, removed_after_anchor=removed,
            before_chain=sum(entry.before for entry in compared.to_read.values()),
            not_recorded=compared.not_recorded + sum(self._has_lines(log) for log in now.logs),
            signed=bool(keys) and bool(state.records) and not state.unsigned, anchored_to=anchored_to,
        )  # fmt: skip
        finding: IntegrityKind = (
            "changed" if flaws
            else "unknown" if not state.records or read < len(compared.to_read)
            else "intact" if anchored_to is not None
            else "consistent"
        )  # fmt: skip
        return fill(finding, sentence(fill(finding, "")))

    def _has_lines(self, log: int) -> bool:
        try:
            return (self._directory / log_name(log)).stat().st_size > 0
        except FileNotFoundError:
            return False

    def _compare_content(self, expected: dict[str, Entry]) -> tuple[int, list[Flaw]]:
        """Return how many segments could be compared with their digests, and the flaws."""
        read, left_bytes, flaws = 0, self._limit_bytes or float("inf"), []
        for name, entry in sorted(expected.items(), reverse=True):
            path = self._directory / name
            try:
                status = path.stat()
                key = (name, status.st_ino, status.st_size, status.st_ctime_ns)
                if not entry.sha256 or (key not in self._known and left_bytes <= 0):
                    continue
                left_bytes -= 0 if key in self._known else status.st_size
                digest = self._known[key] = self._known.get(key) or sha256_of(path)
                read += 1
                if digest != entry.sha256:
                    flaws.append(Flaw(name, "its content is not what was recorded"))
                elif flaw := compare_ids(self._directory, parsed(name), entry):
                    flaws.append(flaw)
            except FileNotFoundError:
                flaws.append(Flaw(name, "it was removed during the check"))
            except (OSError, duckdb.Error) as error:
                flaws.append(Flaw(name, f"it cannot be read: {error}"))
        return read, flaws
