"""Answers without a limit, in constant memory: everything that matches as NDJSON or CSV, and where a tail goes on."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from logship.errors import QuestionError
from logship.event.fields import BY_NAME
from logship.event.invisible import visible_json
from logship.search.query import Page, Query, Record, Source, Streams
from logship.search.times import from_rfc3339

# A page is in memory twice, as rows and as text: 10,000 of the usual size are 30 MB, and each costs a question.
PAGE_ROWS = 10_000
# What spreadsheets take. A row of 125,000 columns has 125 KB even if all are empty.
LIMIT_COLUMNS = 16_384
MAPS = ("labels", "numeric_labels")
SPECIAL = re.compile('[",\r\n]')
# A spreadsheet takes a cell that begins so for a formula, and a formula can reach out: OWASP, CSV injection.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def pages(source: Source, query: Query, page_rows: int = PAGE_ROWS) -> Iterator[list[Record]]:
    """Yield all records of `query`, oldest first, some at a time; what arrives meanwhile may be missing.

    A source that cannot give everything in one go is asked for `page_rows` at a time."""
    return source.every(query) if isinstance(source, Streams) else _paged(source, query, page_rows)


def _paged(source: Source, query: Query, page_rows: int) -> Iterator[list[Record]]:
    page = Page(page_rows, newest_first=False)
    while True:
        rows = source.search(query, page)
        if rows.records:
            yield rows.records
        if rows.next is None or not rows.records:
            return
        # What is left is not older than the last one: saying so spares the store its older files.
        last_ns = from_rfc3339(rows.records[-1]["@timestamp"])
        query = replace(query, since_ns=max(last_ns, query.since_ns if query.since_ns is not None else last_ns))
        page = replace(page, after=rows.next)


def columns(source: Source) -> list[str]:
    """Return a heading for every field that occurs in the source: ours in their order, then the labels by name.

    QuestionError if there are more than LIMIT_COLUMNS: each row would have all of them."""
    found = [field.name for field in source.fields()]
    if len(found) > LIMIT_COLUMNS:
        raise QuestionError(
            f"CSV would have {len(found)} columns, one for each label that occurs; the limit is {LIMIT_COLUMNS}."
            " Export NDJSON instead"
        )
    order = {name: number for number, name in enumerate(BY_NAME)}
    return sorted(found, key=lambda name: (order.get(name, len(order)), name))


def ndjson(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Return one JSON object a line."""
    # Lines that are kept until they are joined leave glibc with memory that it gives back and takes again: 5 us an event.
    text = bytearray()
    for record in records:
        text += visible_json(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
    return bytes(text)


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with each label under a name of its own, `labels.tenant`."""
    row: dict[str, Any] = {}
    for name, value in record.items():
        if name in MAPS and isinstance(value, dict):
            row |= {f"{name}.{key}": held for key, held in value.items()}
        else:
            row[name] = value
    return row


class Csv:
    """CSV with these headings. `left_out`: values that had no column, since their field came up later."""

    def __init__(self, heads: Sequence[str]) -> None:
        self.heads, self.left_out = list(heads), 0
        self._known = frozenset(heads)

    def head(self) -> bytes:
        """Return the first line."""
        return _line(self.heads)

    def rows(self, records: Iterable[Mapping[str, Any]]) -> bytes:
        """Return one line for each record."""
        lines = []
        for row in map(flat, records):
            self.left_out += len(row.keys() - self._known)
            lines.append(_line([row.get(name) for name in self.heads]))
        return b"".join(lines)


def _line(values: Iterable[object]) -> bytes:
    # Python's writer leaves a carriage return unquoted before 3.13, and spreadsheets end the row there.
    return (",".join(["" if value is None else _quoted(value) for value in values]) + "\n").encode("utf-8", "replace")


def _quoted(value: object) -> str:
    text = str(csv_cell(value))
    return '"' + text.replace('"', '""') + '"' if SPECIAL.search(text) else text


def is_ahead(key: str | None, now: str | None) -> bool:
    """Return whether the key of a tail is beyond what the store has: it was emptied, or is another one."""
    try:
        return int(key or "") > int(now or "")
    except ValueError:
        return False  # a key of another kind of source


def csv_cell(value: object) -> object:
    """Return the value as a cell that no spreadsheet runs: text that looks like a formula gets a ' in front."""
    if isinstance(value, list | tuple | dict):
        value = orjson.dumps(value).decode()
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
