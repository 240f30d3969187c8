"""The store against a plain list: whatever is appended, sealed, merged, let go, killed or reopened, answers are the list's."""

import os
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from logship.search.kql import parse
from logship.search.query import Bucket, Page, Query, Share
from logship.search.ranges import union
from logship.store.files import log_name, read_listing
from logship.store.read.reader import Reader
from logship.store.write import merging
from logship.store.write.merging import mergeable
from logship.store.write.retention import Retention
from logship.store.write.store import Appended, Store
from tests.store.events import BEGIN_NS, LIFE, OTHER, Entry, event

METHODS = ("GET", "PUT", "POST")
PROVE = bool(os.environ.get("LOGSHIP_PROVE"))
BUCKET_NS = 10


@dataclass(frozen=True)
class Held:
    """One event of the list; its place in the list is the order of arrival."""

    log: int
    at_ns: int
    life: str
    sequence: int
    method: str

    second: bool = False
    """Whether its id was there before, with other content."""

    @property
    def key(self) -> tuple[str, int]:
        return self.life, self.sequence

    @property
    def content(self) -> tuple[object, ...]:
        return self.life, self.sequence, self.method, self.at_ns


def as_it_is(directory: Path) -> Path:
    """The files of a store that works, all at one moment: linked, before one of them has gone."""
    while True:
        copy = Path(tempfile.mkdtemp(prefix="logship-list-"))
        try:
            for name in os.listdir(directory):
                os.link(directory / name, copy / name)
        except FileNotFoundError:
            shutil.rmtree(copy)
        else:
            return copy


batches = st.lists(
    st.tuples(
        st.sampled_from((LIFE, OTHER)), st.integers(1, 30), st.sampled_from(METHODS), st.integers(0, 40)
    ),
    max_size=7,
)  # fmt: skip


class StoreAgainstAList(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.held: list[Held] = []
        self.heard: list[tuple[str, int]] = []
        self.unheard: list[Held] = []
        self.tail_key: str | None = None

    @initialize(many=st.integers(2, 4))
    def begin(self, many: int) -> None:
        self.segments_a_merge, merging.MERGE_SEGMENTS = merging.MERGE_SEGMENTS, many
        self.home = Path(tempfile.mkdtemp(prefix="logship-list-"))
        self.open()
        self.reader = Reader(self.home, threads=1)
        self.tail_key = self.reader.tail(Query(), None).next

    def open(self) -> None:
        self.store = Store(self.home, roll_records=4)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            merging.MERGE_SEGMENTS = self.segments_a_merge
            self.store.close()
            self.reader.close()
            shutil.rmtree(self.home)

    @rule(batch=batches)
    def append(self, batch: list[tuple[str, int, str, int]]) -> None:
        log, new, again = self.store._log.number, list[Held](), list[Held]()
        keys, contents = {one.key for one in self.held}, {one.content for one in self.held}
        for life, sequence, method, late_ns in batch:
            one = Held(log, BEGIN_NS + late_ns, life, sequence, method)
            (again if one.key in keys else new).append(one)
            keys.add(one.key)
        contents |= {one.content for one in new}
        duplicates = 0
        # What has other content under an id that is there comes after what is new.
        for one in again:
            if one.content in contents:
                duplicates += 1
                continue
            contents.add(one.content)
            # Of the first of an id nothing may be left: then it is new as well.
            first = any(one.key == other.key for other in self.held + new)
            new.append(replace(one, second=first))
        self.held += new
        self.unheard += new
        entries: list[Entry] = [
            event(
                sequence, life, at_ns=BEGIN_NS + late_ns, http__request__method=method, event__duration=late_ns,
                service__node__name=f"n/{life[0]}",
            )
            for life, sequence, method, late_ns in batch
        ]  # fmt: skip
        assert self.store.append(entries) == Appended(
            len(new), duplicates=duplicates, conflicts=sum(one.second for one in new)
        )

    @rule()
    def seal(self) -> None:
        self.store.seal()

    @rule()
    def merge(self) -> None:
        self.store.seal()
        self.store._maintenance.merging.wake.set()
        deadline = time.monotonic() + 60
        while mergeable(read_listing(self.home).segments):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.open()

    @rule(rubbish=st.sampled_from((b"", b"{", b'{"_n":1,"@timestamp":"2026-', b"\x00\xff")))
    def die(self, rubbish: bytes) -> None:
        """What a kill leaves: a torn line, half a segment, a log beside its segment."""
        self.store.close()
        listing = read_listing(self.home)
        for number in listing.logs[-1:]:
            with (self.home / log_name(number)).open("ab") as log:
                log.write(rubbish)
        (self.home / "00000001-00000002.tmp").write_bytes(b"PAR1 half")
        for segment in listing.segments[-1:]:
            (self.home / log_name(segment.first)).write_bytes(b'{"_n":1,"@timestamp":"2026-11-20T10:00:00Z"}\n')
        self.open()

    @rule()
    def be_killed(self) -> None:
        """What kill -9 leaves at this very moment, in the middle of whatever is sealed and merged."""
        before, self.home = self.home, as_it_is(self.home)
        self.store.close()
        self.reader.close()
        shutil.rmtree(before)
        self.open()
        self.reader = Reader(self.home, threads=1)

    @precondition(lambda self: len(self.held) > 10)
    @rule(days=st.booleans())
    def let_go(self, days: bool) -> None:
        """Retention of everything that is sealed, but for the newest segment."""
        self.store.seal()
        segments = read_listing(self.home).segments
        newest = (self.home / segments[-1].name).stat().st_size if segments else 0
        self.store._maintenance.remover.retention = Retention(limit_bytes=newest)
        gone = self.store._maintenance.retain(BEGIN_NS) if days else []
        self.store._maintenance.remover.retention = Retention()
        lost = {log for segment in gone for log in range(segment.first, segment.last + 1)}
        self.held = [one for one in self.held if one.log not in lost]
        self.unheard = [one for one in self.unheard if one.log not in lost]

    @rule(method=st.sampled_from((*METHODS, None)), limit=st.integers(1, 5), newest_first=st.booleans())
    def page_through(self, method: str | None, limit: int, newest_first: bool) -> None:
        query, found, after = Query(parse(f"http.request.method: {method or '*'}")), [], None
        while True:
            rows = self.reader.search(query, Page(limit, newest_first, after))
            found += [(one["service.ephemeral_id"], one["event.sequence"]) for one in rows.records]
            after = rows.next
            if after is None:
                break
        kept = [one for one in self.held if method in (None, one.method)]
        order = sorted(range(len(kept)), key=lambda at: (kept[at].at_ns, at), reverse=newest_first)
        assert found == [kept[at].key for at in order]

    @rule(limit=st.integers(1, 4))
    def page_through_the_greatest(self, limit: int) -> None:
        found, after = [], None
        while True:
            page = Page(limit, after=after, greatest="event.duration", columns=("event.duration",))
            rows = self.reader.search(Query(), page)
            found += [one["event.duration"] for one in rows.records]
            after = rows.next
            if after is None:
                break
        assert found == sorted((one.at_ns - BEGIN_NS for one in self.held), reverse=True)

    @rule(limit=st.integers(1, 6))
    def listen(self, limit: int) -> None:
        while True:
            rows = self.reader.tail(Query(), self.tail_key, limit)
            self.tail_key = rows.next
            heard = [(one["service.ephemeral_id"], one["event.sequence"]) for one in rows.records]
            expected, self.unheard = self.unheard[: len(heard)], self.unheard[len(heard) :]
            assert heard == [one.key for one in expected]
            if len(heard) < limit:
                break
        assert self.unheard == []

    @rule(since=st.integers(0, 40), span=st.integers(0, 40))
    def count_in_a_time(self, since: int, span: int) -> None:
        query = Query(None, BEGIN_NS + since, BEGIN_NS + since + span)
        within = [one for one in self.held if since <= one.at_ns - BEGIN_NS < since + span]
        assert self.reader.count(query) == len(within)
        starts = Counter((one.at_ns // BUCKET_NS * BUCKET_NS, one.method, f"n/{one.life[0]}") for one in within)
        told = self.reader.tally(query, "http.request.method", BUCKET_NS, "service.node.name")
        assert told == [Bucket(start, method, n, node) for (start, method, node), n in sorted(starts.items())]
        methods = Counter(one.method for one in within)
        assert self.reader.top(query, "http.request.method", 9) == [
            Share(method, n, n / len(within))
            for method, n in sorted(methods.items(), key=lambda one: (-one[1], one[0]))
        ]

    @precondition(lambda self: self.held)
    @rule(data=st.data(), before=st.integers(0, 4), after=st.integers(0, 4), everybody=st.booleans())
    def look_around(self, data: st.DataObject, before: int, after: int, everybody: bool) -> None:
        # An id with conflicting events has no single place in the order.
        ids = Counter(one.key for one in self.held)
        unique = [one for one in self.held if ids[one.key] == 1]
        if not unique:
            return
        one = data.draw(st.sampled_from(unique))
        id_ = f"{one.life}-{one.sequence:012d}"
        (record,) = self.reader.get(id_).records
        assert record["event.id"] == id_
        others = [other for other in self.held if everybody or other.life == one.life]
        others.sort(key=lambda other: (other.at_ns, self.held.index(other)))
        at = others.index(one)
        wanted = others[max(0, at - before) : at + after + 1]
        told = self.reader.context(id_, before, after, everybody).records
        assert [(each["service.ephemeral_id"], each["event.sequence"]) for each in told] == [
            each.key for each in wanted
        ]

    @rule()
    def tell_lives(self) -> None:
        lives: dict[str, list[Held]] = {}
        for one in self.held:
            lives.setdefault(one.life, []).append(one)
        told = self.reader.incarnations(Query())
        assert {life.id for life in told} == lives.keys()
        for life in told:
            firsts = [one for one in lives[life.id] if not one.second]
            dated = firsts or lives[life.id]
            assert life.stored == union((one.sequence, one.sequence) for one in firsts)
            assert (life.first_ns, life.last_ns) == (min(o.at_ns for o in dated), max(o.at_ns for o in dated))
            assert (life.duplicates, life.node) == (0, f"n/{life.id[0]}")

    @invariant()
    def holds_as_many(self) -> None:
        if hasattr(self, "reader"):
            assert self.reader.count(Query()) == len(self.held)


TestStoreAgainstAList: Any = pytest.mark.timeout(3600 if PROVE else 300)(StoreAgainstAList.TestCase)
TestStoreAgainstAList.settings = settings(
    max_examples=60 if PROVE else 8,
    stateful_step_count=40 if PROVE else 18,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
