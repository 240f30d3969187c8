"""`logship replay --to elastic`: events of a store, or of an export, moved into Elasticsearch. Interrupted and repeated as often
as you like, each is there once: they are created under their own ids, and what is there already is answered 409.

The one exception is a rollover between two runs: an id is unique in one index of a stream. Bulk requests tell the truth here:
every item's answer is read, and what the server is too busy for is asked again."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import elasticsearch
import orjson
from elasticsearch import Elasticsearch

from logship.elastic import mapping
from logship.elastic.client import translated
from logship.errors import ElasticError, QuestionError
from logship.search.query import Page, Query, Record, Source
from logship.search.times import from_rfc3339
from logship.settings import Settings

PAGE_EVENTS: Final = 10_000  # each page costs a store a question, and 10,000 records are 30 MB
BULK_EVENTS: Final = 1000
BULK_BYTES: Final = 4 * 2**20
CREATED: Final = 201
THERE_ALREADY: Final = 409
TOO_LARGE: Final = 413
# Who asked too much, or asked at a bad moment: the same document may pass later. Everything else is an answer.
LATER: Final = frozenset({408, 429, 500, 502, 503, 504})
WAITS_SECONDS: Final = (0.5, 1, 2, 4, 8, 15, 30, 30, 30, 30)
ID_BYTES: Final = 512
ANSWER: Final = "errors,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason"


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that the server will never take as it is, and why."""

    record: Record
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """What became of some records."""

    created: int = 0
    there_already: int = 0
    refused: tuple[Refused, ...] = ()

    def __add__(self, other: "Done") -> "Done":
        return Done(
            self.created + other.created, self.there_already + other.there_already, self.refused + other.refused
        )


@dataclass(frozen=True, slots=True)
class Item:
    """One record with its two lines."""

    record: Record
    action: bytes
    line: bytes

    @property
    def size(self) -> int:
        return len(self.action) + len(self.line) + 2


def from_source(source: Source, query: Query) -> Iterator[Record]:
    """Every record that `query` finds, oldest first, in constant memory."""
    after: str | None = None
    while True:
        rows = source.search(query, Page(PAGE_EVENTS, newest_first=False, after=after))
        yield from rows.records
        after = rows.next
        if after is None or not rows.records:
            return
        # What is left is not older than the last one: saying so spares a store its older files.
        last_ns = from_rfc3339(rows.records[-1]["@timestamp"])
        query = dataclasses.replace(query, since_ns=max(last_ns, query.since_ns or last_ns))


def from_lines(path: Path) -> Iterator[Record]:
    """The records of an export, one JSON object a line; QuestionError names a line that is not one."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise QuestionError(f"{path}, line {number}, is not JSON: {error}") from error
            if not isinstance(record, dict):
                raise QuestionError(f"{path}, line {number}, is not a JSON object")
            yield record


def replay(client: Elasticsearch, settings: Settings, records: Iterable[Record], dead_letters: Path) -> Iterator[Done]:
    """Create `records` in the stream of the settings, and yield after each lot what has become of it.

    What is refused for good is appended to `dead_letters` before the lot is yielded, with the reason: `write_dead`."""
    for done in Bulk(client, settings, mapping.stream(settings.elastic_namespace)).create(records):
        if done.refused:
            write_dead(dead_letters, done.refused)
        yield done


def write_dead(path: Path, refused: Iterable[Refused]) -> None:
    """Append one line a record: {"status": …, "reason": …, "event": {…}}."""
    # They hold what applications logged: for their owner alone.
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        for one in refused:
            line = {"status": one.status, "reason": one.reason, "event": one.record}
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


class Bulk:
    """Creates records in one data stream. `sleep` is for tests that do not wait."""

    def __init__(
        self, client: Elasticsearch, settings: Settings, stream: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client, self._settings, self._stream, self._sleep = client, settings, stream, sleep

    def create(self, records: Iterable[Record]) -> Iterator[Done]:
        """Create records under their `event.id`, some hundred at a time, and yield what became of each lot.

        Order is kept. ElasticError when the server cannot be asked, may not be asked, or stays too busy; what was yielded
        until then is stored, and doing all of it again stores nothing twice."""
        for items, unfit in _lots(records):
            done = self._send(items) if items else Done()
            yield done + Done(refused=tuple(unfit))

    def _send(self, items: Sequence[Item]) -> Done:
        done, left = Done(), list(items)
        for wait in (*WAITS_SECONDS, None):
            answers = self._ask(left)
            if answers is None:
                return done + self._halves(left)
            done, left, why = _sorted(done, left, answers)
            if not left:
                return done
            if wait is not None:
                self._sleep(wait)
        raise ElasticError(
            f"Elasticsearch at {self._settings.elastic_url} was too busy for {len(left)} events, {len(WAITS_SECONDS)} times in "
            f"{sum(WAITS_SECONDS):.0f} s: {why}. Retry later: events are not stored twice"
        )

    def _halves(self, items: Sequence[Item]) -> Done:
        if len(items) == 1:
            return Done(
                refused=(Refused(items[0].record, TOO_LARGE, f"a request of {items[0].size} bytes is too large"),)
            )
        middle = len(items) // 2
        return self._send(items[:middle]) + self._send(items[middle:])

    def _ask(self, items: Sequence[Item]) -> list[dict[str, Any]] | None:
        """The answer to each; None when the request was too large. A request refused as a whole refuses each for later."""
        lines = [part for item in items for part in (item.action, item.line)]
        with translated(self._settings, f"creating events in {self._stream}"):
            try:
                told = self._client.bulk(
                    operations=lines,  # type: ignore[arg-type] # lines that are made already go as they are
                    index=self._stream,
                    require_data_stream=True,
                    filter_path=ANSWER,
                )
            except elasticsearch.ApiError as error:
                if error.status_code == TOO_LARGE:
                    return None
                if error.status_code in LATER:
                    return [{"status": error.status_code, "error": {"reason": str(error)}}] * len(items)
                raise
        if not told["errors"]:
            return [{"status": CREATED}] * len(items)
        return [item["create"] for item in told["items"]]


def _sorted(done: Done, items: Sequence[Item], answers: Sequence[dict[str, Any]]) -> tuple[Done, list[Item], str]:
    """`done` with these answers, the items to be asked again, and why."""
    created = there = 0
    refused: list[Refused] = []
    again: list[Item] = []
    why = ""
    for item, answer in zip(items, answers, strict=True):
        status = int(answer["status"])
        if status in (200, CREATED):
            created += 1
        elif status == THERE_ALREADY:
            there += 1
        elif status in LATER or _passes(answer):
            again.append(item)
            why = _reason(answer)
        elif status in (401, 403):
            raise ElasticError(f"not allowed to create events: {_reason(answer)}", status)
        else:
            refused.append(Refused(item.record, status, _reason(answer)))
    return done + Done(created, there, tuple(refused)), again, why


def _passes(answer: dict[str, Any]) -> bool:
    """A write block answers 403 and is taken away again; a missing right answers 403 and is not."""
    return str(answer.get("error", {}).get("type")) == "cluster_block_exception"


def _reason(answer: dict[str, Any]) -> str:
    error = answer.get("error", {})
    inner = error.get("caused_by", {}).get("reason")
    return f"{error.get('reason', 'no reason given')}" + (f"; {inner}" if inner else "")


def _lots(records: Iterable[Record]) -> Iterator[tuple[list[Item], list[Refused]]]:
    items: list[Item] = []
    unfit: list[Refused] = []
    size = 0
    for record in records:
        if why := _unfit(record):
            unfit.append(Refused(record, 400, why))
        else:
            item = Item(record, orjson.dumps({"create": {"_id": _document_id(record)}}), orjson.dumps(record))
            if items and size + item.size > BULK_BYTES:
                yield items, unfit
                items, unfit, size = [], [], 0
            items.append(item)
            size += item.size
        if len(items) + len(unfit) >= BULK_EVENTS:
            yield items, unfit
            items, unfit, size = [], [], 0
    if items or unfit:
        yield items, unfit


def _document_id(record: Record) -> str:
    """The id of the event. Of an event that a store keeps beside another with the same id: the id with a hash of its content."""
    conflict = record.get("logship.conflict")
    return f"{record['event.id']}!{conflict}" if conflict else str(record["event.id"])


def _unfit(record: Record) -> str:
    """Why a record must not be sent: one id that Elasticsearch does not take refuses the whole request."""
    name = record.get("event.id")
    if not isinstance(name, str) or not name:
        return "it has no event.id, so a retry would store it twice"
    if len(name.encode()) > ID_BYTES:
        return f"its event.id has more than {ID_BYTES} bytes"
    return "" if record.get("@timestamp") else "it has no @timestamp"
