"""Checks of the field names in a query, the same for every store."""

from collections.abc import Iterable
from typing import Protocol

from logship.search.kql import Node, existing
from logship.search.meaning import compared_labels, unknown_field, unknown_names


class Labels(Protocol):
    """The labels that the events of a store have."""

    def is_label(self, name: str) -> bool:
        """Return whether an event has the label `name`."""

    def label_names(self) -> Iterable[str]:
        """Return the names of labels, each with `labels.` or `numeric_labels.` before it."""


def check_names(where: Node | None, labels: Labels) -> None:
    """Raise UnknownField for a name that is neither a field nor a label but close to one, KqlError for `label=value`.

    Any other unknown name passes: it may be a label that no event has yet."""
    for name in unknown_names(where):
        if labels.is_label(name.text):
            continue
        error = unknown_field(name.text, name.at, labels=labels.label_names())
        if error.suggestion:
            raise error
    for label, wrong in compared_labels(where):
        if labels.is_label(label):
            raise wrong


def check_known(name: str, labels: Labels) -> None:
    """Raise UnknownField unless `name` is a field, or a label of some event."""
    if not is_column(name) and not labels.is_label(name):
        raise unknown_field(name, labels=labels.label_names())


def is_column(name: str) -> bool:
    """Return whether `name` is a field, or one of the maps of labels with or without the name of a label."""
    return not any(unknown_names(existing(name)))
