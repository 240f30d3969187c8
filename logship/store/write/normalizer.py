"""Normalizing: any record becomes one line of JSON that DuckDB reads back without loss.

Records come in few shapes, which are their keys in order. If all keys are fields, one comparison of all types and a check of
what types do not show (numbers, dates, lists, labels) decides whether the record is stored as it is. Otherwise it is converted
field by field.
"""

from typing import Any

import orjson

from logship.search.times import EARLIEST_NS, LATEST_NS, SECOND_NS, rfc3339
from logship.store.schema import LINE_LIMIT_BYTES
from logship.store.write.conversion import converted_line
from logship.store.write.shape import Shape

# Applications differ in their fields. A sender of ever new keys must not fill memory.
_SHAPES_LIMIT = 4096


class Unstorable(Exception):
    """A record that cannot be stored, with the reason."""


class Normalizer:
    """Makes the lines of a log. Belongs to one thread."""

    def __init__(self) -> None:
        self._second, self._prefix = 0, rfc3339(0)[:20].encode()
        self._shapes: dict[tuple[str, ...], Shape] = {}

    def line(self, position: int, time_ns: int, record: dict[str, Any]) -> bytes:
        """Return the line of `record`, newline included. Unstorable if there is no such line."""
        second, rest = divmod(time_ns, SECOND_NS)
        if second != self._second:
            if not EARLIEST_NS <= time_ns < LATEST_NS:
                raise Unstorable(f"the time {time_ns} ns is not between 1678 and 2261")
            self._second, self._prefix = second, rfc3339(time_ns)[:20].encode()
        body = self._as_it_is(record) or self._converted(record)
        comma = b"," if len(body) > 3 else b""
        line = b'{"_n":%d,"@timestamp":"%b%09dZ"%b%b' % (position, self._prefix, rest, comma, body[1:])
        if len(line) > LINE_LIMIT_BYTES:
            raise Unstorable(f"the record has {len(line)} bytes, the limit is {LINE_LIMIT_BYTES}")
        return line

    def _as_it_is(self, record: dict[str, Any]) -> bytes | None:
        try:
            keys = tuple(record)
            shape = self._shapes.get(keys)
            if shape is None:
                shape = self._shapes[keys] = Shape(keys)
                if len(self._shapes) > _SHAPES_LIMIT:
                    self._shapes.clear()
            if shape.types == [*map(type, record.values())] and shape.holds(record):
                return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        except (AttributeError, TypeError, ValueError):  # not a map, keys that are not text, lone surrogates
            pass
        return None

    @staticmethod
    def _converted(record: Any) -> bytes:
        if not isinstance(record, dict):
            raise Unstorable(f"the record is a {type(record).__name__}, not a map")
        return converted_line(record)
