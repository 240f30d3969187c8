"""Field names of a query resolved to fields with a type, or to labels."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from logship.event.fields import FIELDS
from logship.search.kql import Text, Value
from logship.search.shorthand import ALIASES, field_of
from logship.search.words import like_regex

Kind: TypeAlias = Literal[
    "integer", "number", "keyword", "text", "ip", "date", "boolean", "list", "label", "number label"
]

_KINDS: dict[str, Kind] = {
    "long": "integer", "integer": "integer", "short": "integer", "byte": "integer", "unsigned_long": "integer",
    "double": "number", "float": "number", "half_float": "number", "scaled_float": "number",
    "match_only_text": "text", "text": "text", "date": "date", "date_nanos": "date", "boolean": "boolean",
    "ip": "ip",
}  # fmt: skip
MAPS = ("labels", "numeric_labels")
KIND_OF: dict[str, Kind] = {
    field.name: "list" if field.many else _KINDS.get(field.stored_type, "keyword")
    for field in FIELDS
    if field.name not in MAPS
}
# The fields that text without a field name is searched in. Few, so that the search bar stays quick over a whole store.
BARE_TEXT_FIELDS = (
    "message", "error.message", "error.type", "error.stack_trace", "url.path", "http.route",
    "event.id", "http.request.id", "trace.id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """A field, or the label `name`. `parts`: a wildcard, for every label whose name matches it."""

    name: str
    kind: Kind
    parts: tuple[str, ...] | None = None


def is_field(name: str) -> bool:
    """Return whether `name` is a field or an alias of one."""
    return name in KIND_OF or name in ALIASES


def label_key(name: str) -> str:
    """Return the key of a label without `labels.` or `numeric_labels.` before it."""
    if name.startswith(("labels.", "numeric_labels.")):
        return name.removeprefix("numeric_").removeprefix("labels.")
    return name


def targets(name: Value) -> tuple[Target, ...]:
    """Return what a field name stands for. A name that is not a field is a label; a wildcard may match many of both."""
    if isinstance(name, Text):
        if (field := field_of(name.text)) in KIND_OF:
            return (Target(field, KIND_OF[field]),)
        if name.text in MAPS:
            return _labels("", ("", ""))
        return _labels(label_key(name.text))
    whole = like_regex(name.parts)
    fields = tuple(Target(field, kind) for field, kind in KIND_OF.items() if whole.fullmatch(field))
    if fields and name.parts[0]:
        return fields
    return fields + _labels("", (label_key(name.parts[0]), *name.parts[1:]))


def bare_text_targets() -> list[Target]:
    """Return the fields that text without a field name is searched in."""
    return [Target(field, KIND_OF[field]) for field in BARE_TEXT_FIELDS]


def columns_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that hold these fields and labels, without `@timestamp`; `message` if nothing is left."""
    columns = dict.fromkeys(map(field_of, names))
    for name in [name for name in columns if name not in KIND_OF and name not in MAPS]:
        del columns[name]
        columns |= dict.fromkeys(MAPS)
    return tuple(name for name in columns if name != "@timestamp") or ("message",)


def _labels(key: str, parts: tuple[str, ...] | None = None) -> tuple[Target, ...]:
    return Target(key, "label", parts), Target(key, "number label", parts)
