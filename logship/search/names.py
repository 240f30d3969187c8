"""Names in a query that are not fields: labels of the application, or mistakes. Suggestions for the mistakes."""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from logship.errors import UnknownField
from logship.search.kql import Node, Text, existing, leaves
from logship.search.mistakes import compared_with_equals
from logship.search.shorthand import ALIASES
from logship.search.targets import KIND_OF, MAPS, is_field, label_key


def labels_in(where: Node | None) -> Iterator[Text]:
    """Yield the names in a query that are not fields: labels, with or without `labels.` before them, or mistakes."""
    for leaf in leaves(where):
        if isinstance(leaf.field, Text) and not is_field(leaf.field.text) and leaf.field.text not in MAPS:
            yield leaf.field


def unknown_names(where: Node | None) -> Iterator[Text]:
    """Yield the names in a query that are not fields and are not marked as labels by `labels.` or `numeric_labels.`."""
    return (name for name in labels_in(where) if not name.text.startswith(MAPS))


class Labels(Protocol):
    """The labels that the events of a store have."""

    def is_label(self, name: str) -> bool:
        """Return whether an event has the label `name`."""

    def label_names(self) -> Iterable[str]:
        """Return the names of labels, with or without `labels.` or `numeric_labels.` before them."""


def check_names(where: Node | None, labels: Labels) -> None:
    """Raise UnknownField for a name that is neither a field nor a label but close to one, KqlError for `label=value`.

    Any other unknown name passes: it may be a label that no event has yet."""
    for name in unknown_names(where):
        if not labels.is_label(name.text) and (near := nearest(name.text, labels.label_names())):
            raise UnknownField(name.text, near, name.at)
    for leaf in leaves(where):
        compared = compared_with_equals(leaf)
        if compared is not None and labels.is_label(compared[0]):
            raise compared[1]


def check_known(name: str, labels: Labels) -> None:
    """Raise UnknownField unless `name` is a field, or a label of some event."""
    if not is_column(name) and not labels.is_label(name):
        raise UnknownField(name, nearest(name, labels.label_names()) or "")


def is_column(name: str) -> bool:
    """Return whether `name` is a field, or one of the maps of labels with or without the name of a label."""
    return not any(unknown_names(existing(name)))


def nearest(name: str, labels: Iterable[str] = ()) -> str | None:
    """Return the field, alias or label that `name` is probably a misspelling of, None if nothing is similar.

    `labels`: names of labels, with or without `labels.` before them."""
    small = name.lower().replace("-", "_")
    if is_field(small):
        return small
    ending = next((field for field in KIND_OF if field.endswith("." + small)), None)
    if ending is not None:
        return ending
    close = difflib.get_close_matches(name, [*KIND_OF, *ALIASES, *map(label_key, labels)], 1, 0.8)
    return close[0] if close else _same_words(small)


def _same_words(name: str) -> str | None:
    """The field with all words of a name such as `http.status_code` or `request.id`, in the same order."""
    wanted = [word for word in re.split(r"[._]", name) if word]
    for field in KIND_OF if len(wanted) > 1 else ():
        held = iter(re.split(r"[._]", field))
        if all(word in held for word in wanted):
            return field
    return None
