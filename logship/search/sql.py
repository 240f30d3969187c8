"""Questions as SQL for the columns of the embedded store. Whatever a person typed travels as a parameter; only names of
our own table of fields are ever part of the text."""

import re
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

from logship.search.kql import Node, Text
from logship.search.meaning import (
    KIND_OF,
    MAPS,
    Compare,
    Every,
    Exists,
    Like,
    Phrase,
    Some,
    Target,
    Test,
    Unless,
    WordLike,
    meaning,
    targets,
)

# RE2's \w knows ASCII only; this is Python's.
_LETTER = r"[\p{L}\p{N}_]"
_BEFORE, _AFTER, _BETWEEN = r"(?:^|[^\p{L}\p{N}_])", r"(?:$|[^\p{L}\p{N}_])", r"[^\p{L}\p{N}_]+"


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL with a ? for each of `params`, in order."""

    text: str
    params: tuple[Any, ...] = ()


def where(node: Node | None, now_ns: int, zone: tzinfo = UTC) -> Sql:
    """Return the condition of `node`; it is NULL or false for a row that does not match. KqlError as in `meaning`."""
    writer = _Writer()
    return Sql(writer.test(meaning(node, now_ns, zone)), tuple(writer.params))


def value_of(name: str) -> Sql:
    """Return the expression for a field's value as text, NULL where it is absent; of a label when it is no field.

    A list is its values joined by ", "."""
    target = targets(Text(name))[0]
    match target.kind:
        case "label":
            return Sql(f"coalesce(labels[?], {_number_text('numeric_labels[?]')})", (target.name, target.name))
        case "list":
            return Sql(f"array_to_string({column(name)}, ', ')")
        case "date":
            below = f"lpad((epoch_ns({column(name)}) % 1000000000)::VARCHAR, 9, '0')"
            return Sql(f"strftime({column(name)}, '%Y-%m-%dT%H:%M:%S.') || {below} || 'Z'")
        case "number":
            return Sql(_number_text(column(name)))
        case _:
            return Sql(f"{column(name)}::VARCHAR")


def number_of(name: str) -> Sql | None:
    """Return the expression for a field's value as a number, None if it is a field without numbers."""
    target = targets(Text(name))[0]
    if target.kind == "label":
        return Sql("numeric_labels[?]", (target.name,))
    return Sql(column(name)) if target.kind in ("integer", "number") else None


def column(name: str) -> str:
    """Return the quoted name of a column of ours; KeyError for any other name."""
    if name not in KIND_OF and name not in MAPS:
        raise KeyError(name)
    return f'"{name}"'


def _number_text(expression: str) -> str:
    """Whole numbers without their `.0`, as people wrote them."""
    return f"regexp_replace({expression}::VARCHAR, '\\.0$', '')"


class _Writer:
    def __init__(self) -> None:
        self.params: list[Any] = []

    def test(self, test: Test) -> str:
        match test:
            case Every(parts):
                return "(" + " AND ".join(map(self.test, parts)) + ")" if parts else "true"
            case Some(parts):
                return "(" + " OR ".join(map(self.test, parts)) + ")" if parts else "false"
            case Unless(part):
                return f"(NOT coalesce({self.test(part)}, false))"
            case Exists(target):
                return self.exists(target)
            case Compare(target, operator, value):
                if target.kind == "date":
                    return self.on(target, f"{{}} {operator} make_timestamp_ns(?)", value)
                return self.on(target, f"{{}} {operator} ?", value)
            case Like(target, parts):
                return self.like(target, parts)
            case Phrase(target, words):
                # contains() is several times quicker than the expression and turns most rows away.
                near = " AND ".join(["contains(lower({0}), ?)"] * len(words))
                pattern = _BEFORE + _BETWEEN.join(map(_quoted, words)) + _AFTER
                return self.on(target, f"({near} AND regexp_matches(lower({{0}}), ?))", *words, pattern)
            case WordLike(target, parts):
                pattern = _BEFORE + f"{_LETTER}*".join(map(_quoted, parts)) + _AFTER
                return self.on(target, "regexp_matches(lower({}), ?)", pattern)

    def exists(self, target: Target) -> str:
        if target.kind == "list":
            return f"len({column(target.name)}) > 0"
        if target.kind not in ("label", "number label"):
            return f"{column(target.name)} IS NOT NULL"
        map_name = "labels" if target.kind == "label" else "numeric_labels"
        if target.parts is None:
            return f"map_contains({map_name}, {self.param(target.name)})"
        fits = f"regexp_full_match(k, {self.param(_expression(target.parts))}, 's')"
        return f"len(list_filter(map_keys({map_name}), lambda k: {fits})) > 0"

    def like(self, target: Target, parts: tuple[str, ...]) -> str:
        text = "%".join(map(_like_quoted, parts))
        return self.on(target, "{} LIKE ?" + (r" ESCAPE '\'" if "\\" in text else ""), text)

    def on(self, target: Target, condition: str, *params: Any) -> str:
        """Write `condition` on the target's value, on each element of a list, or on each label that fits."""
        match target.kind:
            case "list":
                self.params += params
                return f"len(list_filter({column(target.name)}, lambda e: {condition.format('e')})) > 0"
            case "label" | "number label":
                map_name = "labels" if target.kind == "label" else "numeric_labels"
                if target.parts is None:
                    value = f"{map_name}[{self.param(target.name)}]"
                    self.params += params
                    return condition.format(value)
                fits = f"regexp_full_match(e.key, {self.param(_expression(target.parts))}, 's')"
                self.params += params
                return (
                    f"len(list_filter(map_entries({map_name}), lambda e: {fits} AND {condition.format('e.value')})) > 0"
                )
            case _:
                self.params += params
                return condition.format(column(target.name))

    def param(self, value: Any) -> str:
        self.params.append(value)
        return "?"


def _quoted(text: str) -> str:
    """As an exact part of a regular expression of RE2."""
    return re.sub(r"([!-/:-@\[-^`{-~])", r"\\\1", text)


def _expression(parts: tuple[str, ...]) -> str:
    return ".*".join(map(_quoted, parts))


def _like_quoted(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)
