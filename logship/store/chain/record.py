"""The file `chain` of a store: one JSON object a line, each with the digest of the line before it.

    {"n":7,"time":"…","kind":"seal","segment":{…},"previous":"<digest of record 6>","digest":"…","mac":"…"}

`digest`: SHA-256 of the line up to `,"digest"` and a closing brace; `mac`: HMAC-SHA256 of `digest`, only with a key. `previous`
of record 0 is 64 zeros. Kinds, with their fields:

    begin   store: 16 random hex digits; segments: {name: SHA-256 or null} of what was there; after: why it is not the first chain
    known   segment: a segment of `begin` that had no digest yet
    seal    segment: {name, sha256, ids}, of logs; written after the segment has its name
    merge   segment, parts: {name: SHA-256} that it replaces; written before the segment has its name
    reduce  the same, for retention of a part of one segment
    remove  segments: [name], by retention; written before they are deleted

`ids`: SHA-256 of the event ids in the segment's sidecar. A crash leaves at most one torn line, the last: it is cut. Then a
segment may be there without `seal`, `merge` or `reduce` without its segment but with all parts, and `remove` with its
segments; none of that is a flaw. One writer appends, and syncs each record.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from logship.store.chain.keys import Keys

CHAIN = "chain"
NO_DIGEST = "0" * 64
_PIECE_BYTES = 2**20
_DIGEST = b',"digest":"'


class ChainBroken(Exception):
    """A chain has a record that does not fit. The message is a clause; `record`: its number."""

    def __init__(self, record: int, why: str) -> None:
        super().__init__(f"record {record} {why}")
        self.record = record


@dataclass(frozen=True, slots=True)
class ChainRecord:
    """One record. `fields`: those of its kind; `mac`: "" if it is not signed."""

    number: int
    time: str
    kind: str
    fields: Mapping[str, Any]
    digest: str
    mac: str = ""


def encode(record: Mapping[str, Any], previous: str, keys: Keys) -> bytes:
    """Return the line of a record with `n`, `time`, `kind` and the fields of its kind; newline included."""
    body = orjson.dumps({**record, "previous": previous})
    digest = hashlib.sha256(body).hexdigest()
    mac = f'","mac":"{keys.sign(digest)}' if keys else ""
    return b'%b%b%b%b"}\n' % (body[:-1], _DIGEST, digest.encode(), mac.encode())


def parse(line: bytes, number: int, previous: str) -> ChainRecord:
    """Return the record of a line that must have this number and follow the digest `previous`. ChainBroken otherwise."""
    body, _, tail = line.rpartition(_DIGEST)
    try:
        fields = orjson.loads(line)
        digest = hashlib.sha256(body + b"}").hexdigest()
        if fields.pop("digest") != digest or not tail.startswith(digest.encode()):
            raise ChainBroken(number, "does not match its digest")
        if (fields.pop("n"), fields.pop("previous")) != (number, previous):
            raise ChainBroken(number, "does not follow the record before it")
        return ChainRecord(number, fields.pop("time"), fields.pop("kind"), fields, digest, fields.pop("mac", ""))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChainBroken(number, "cannot be read") from error


def records(data: bytes, keys: Keys, first: int = 0, previous: str = NO_DIGEST) -> Iterator[ChainRecord]:
    """Yield the records of a chain, without a torn last line. ChainBroken at the first that does not fit.

    `first`: the number of the first record in `data`; `previous`: the digest before it. With keys every record must be signed."""
    for number, line in enumerate(data.split(b"\n")[:-1], first):
        record = parse(line, number, previous)
        if keys and not record.mac:
            raise ChainBroken(number, "is not signed, although a key is set")
        if keys and not keys.signed(record.digest, record.mac):
            raise ChainBroken(number, "is signed with another key")
        previous = record.digest
        yield record


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal. OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
