"""Evaluating a query on one record in memory: for requests that have no event yet, and to test the translators against."""

from datetime import UTC, tzinfo
from operator import eq, ge, gt, le, lt
from typing import Any

from logship.search.addresses import address_number
from logship.search.kql import Node
from logship.search.meaning import meaning
from logship.search.predicate import Compare, Every, Exists, Like, Phrase, Some, Test, Unless, Within, WordLike
from logship.search.query import Record
from logship.search.targets import Target
from logship.search.times import from_rfc3339
from logship.search.words import like_regex, words

_COMPARE = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}


def matches(node: Node | None, record: Record, now_ns: int = 0, zone: tzinfo = UTC) -> bool:
    """Return whether `record` matches `node`. KqlError as in `meaning`."""
    return holds(meaning(node, now_ns, zone), record)


def holds(test: Test, record: Record) -> bool:
    """Return whether `test` holds for `record`."""
    match test:
        case Every(parts):
            return all(holds(part, record) for part in parts)
        case Some(parts):
            return any(holds(part, record) for part in parts)
        case Unless(part):
            return not holds(part, record)
        case Exists(target):
            return bool(_values(target, record))
        case Compare(target, operator, value):
            return any(_COMPARE[operator](held, value) for held in _values(target, record))
        case Within(target, low, high):
            return any(low <= held <= high for held in _values(target, record))
        case Like(target, parts):
            whole = like_regex(parts)
            return any(whole.fullmatch(held) for held in _values(target, record))
        case Phrase(target, wanted):
            return any(_follow(wanted, words(held)) for held in _values(target, record))
        case WordLike(target, parts):
            like = like_regex(parts)
            return any(like.fullmatch(word) for held in _values(target, record) for word in words(held))


def _follow(wanted: tuple[str, ...], held: tuple[str, ...]) -> bool:
    return any(held[at : at + len(wanted)] == wanted for at in range(len(held) - len(wanted) + 1))


def _values(target: Target, record: Record) -> list[Any]:
    match target.kind:
        case "label" | "number label":
            labels = record.get("labels" if target.kind == "label" else "numeric_labels") or {}
            if target.parts is None:
                return [labels[target.name]] if target.name in labels else []
            fits = like_regex(target.parts)
            return [value for key, value in labels.items() if fits.fullmatch(key)]
        case "list":
            return list(record.get(target.name) or ())
        case "ip":
            number = address_number(record.get(target.name) or "")
            return [] if number is None else [number]
        case "date":
            return [from_rfc3339(record[target.name])] if record.get(target.name) is not None else []
        case _:
            return [record[target.name]] if record.get(target.name) is not None else []
