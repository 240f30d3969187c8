"""Records as text: NDJSON, and CSV that spreadsheets read without executing formulas."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from logship.event.invisible import visible_json

MAPS = ("labels", "numeric_labels")
SPECIAL = re.compile('[",\r\n]')
# A spreadsheet executes a cell that begins with one of these as a formula (OWASP, CSV injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def ndjson(records: Iterable[Mapping[str, Any]]) -> bytes:
    """Return one JSON object a line."""
    # One growing buffer: joining separate lines makes glibc return and fetch memory again, 5 us an event.
    text = bytearray()
    for record in records:
        text += visible_json(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
    return bytes(text)


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with each label as a separate column, `labels.tenant`."""
    row: dict[str, Any] = {}
    for name, value in record.items():
        if name in MAPS and isinstance(value, dict):
            row |= {f"{name}.{key}": label for key, label in value.items()}
        else:
            row[name] = value
    return row


class Csv:
    """A CSV writer with fixed columns. `left_out`: how many values had no column because their field appeared later."""

    def __init__(self, heads: Sequence[str]) -> None:
        self.heads, self.left_out = list(heads), 0
        self._known = frozenset(heads)

    def head(self) -> bytes:
        """Return the line of column names."""
        return _line(self.heads)

    def rows(self, records: Iterable[Mapping[str, Any]]) -> bytes:
        """Return one line for each record."""
        lines = []
        for row in map(flat, records):
            self.left_out += len(row.keys() - self._known)
            lines.append(_line([row.get(name) for name in self.heads]))
        return b"".join(lines)


def _line(values: Iterable[object]) -> bytes:
    # Python's writer leaves a carriage return unquoted before 3.13, and spreadsheets then end the row.
    return (",".join(["" if value is None else _quoted(value) for value in values]) + "\n").encode("utf-8", "replace")


def _quoted(value: object) -> str:
    text = str(csv_cell(value))
    return '"' + text.replace('"', '""') + '"' if SPECIAL.search(text) else text


def csv_cell(value: object) -> object:
    """Return the value of a cell; text that a spreadsheet would execute as a formula gets a leading '."""
    if isinstance(value, list | tuple | dict):
        value = orjson.dumps(value).decode()
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
