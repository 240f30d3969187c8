"""Comparing bodies of Elasticsearch with what logship wants there."""

from collections.abc import Mapping
from typing import Any


def contains(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Return whether everything in `wanted` is in `found`."""
    return flat(wanted).items() <= flat(found).items()


def flat(value: Mapping[str, Any], before: str = "") -> dict[str, str]:
    """Return every value by its dotted path, as text: servers return numbers as text and omit defaults."""
    values: dict[str, str] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            values |= flat(item, f"{before}{name}.")
        elif not (name == "type" and item == "object"):
            values[before + name] = str(item).lower() if isinstance(item, bool) else str(item)
    return values
