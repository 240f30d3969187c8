"""Reads the chain of a store that may be growing. What was read once, and is unchanged, is not parsed again.

A busy collector appends ten thousand records a day: parsing all of them takes seconds, comparing their bytes milliseconds."""

import hashlib
import threading
from collections.abc import Collection
from dataclasses import dataclass, field

from logship.store.chain.keys import Keys
from logship.store.chain.record import NO_DIGEST, ChainBroken, records
from logship.store.chain.state import ChainState


@dataclass(slots=True)
class ChainContent:
    """The state after all records, or after those before the broken one. `digests`: of the records that were wanted, by number.

    `broken`: why the chain cannot be verified, "" if it can."""

    state: ChainState
    digests: dict[int, str] = field(default_factory=dict)
    broken: str = ""


class ChainReader:
    """Keeps the state of the records that were read. Any thread may use it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._state, self._keys = ChainState(), Keys()
        self._length, self._sha256 = 0, hashlib.sha256()

    def content(self, data: bytes, keys: Keys, wanted: Collection[int] = ()) -> ChainContent:
        """Return what the bytes of a chain say. `wanted`: numbers of records whose digests are returned."""
        with self._turn:
            if wanted or keys != self._keys or hashlib.sha256(data[: self._length]).digest() != self._sha256.digest():
                self._state, self._keys, self._length, self._sha256 = ChainState(), keys, 0, hashlib.sha256()
            return self._continued(data, wanted)

    def _continued(self, data: bytes, wanted: Collection[int]) -> ChainContent:
        state, digests = self._state, dict[int, str]()
        whole = data.rfind(b"\n") + 1
        try:
            new = data[self._length : whole]
            for record in records(new, self._keys, state.records, state.digest if state.records else NO_DIGEST):
                state.apply(record)
                if record.number in wanted:
                    digests[record.number] = record.digest
        except ChainBroken as error:
            content = ChainContent(state.copy(), digests, str(error))
            self._state, self._length, self._sha256 = ChainState(), 0, hashlib.sha256()
            return content
        self._sha256.update(new)
        self._length = whole
        return ChainContent(state.copy(), digests)
