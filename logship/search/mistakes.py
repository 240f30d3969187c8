"""Comparisons of other query languages that KQL would read as text, and what to write instead."""

import re

from logship.errors import KqlError
from logship.event.fields import BY_NAME
from logship.search.kql import Leaf, Range, Text
from logship.search.shorthand import ALIASES

# The longest operator first. KQL has no "=".
_COMPARED = re.compile(r"([\w@.-]+)\s*(!=|==|=~|=)\s*(\S.*)", re.DOTALL)
_AND_OR = re.compile(r"&&|\|\|")


def compared_with_equals(leaf: Leaf) -> tuple[str, KqlError] | None:
    """Return the name in bare text such as `level=error` and the error that says what to write; None for other text."""
    if isinstance(leaf, Range) or leaf.field is not None or not isinstance(leaf.value, Text) or leaf.value.quoted:
        return None
    compared = _COMPARED.fullmatch(leaf.value.text)
    if compared is None:
        return None
    name, operator, value = compared.groups()
    value = re.split(r"\s*(?:&&|\|\|)", value)[0]
    wanted = f"not {name}: {value}" if operator == "!=" else f"{name}: {value}"
    sentence = f'KQL compares with ":", not "{operator}": write {wanted}, or quote it to search for this text'
    return name, KqlError(sentence, leaf.value.at)


def refuse_other_languages(leaf: Leaf) -> None:
    """KqlError for `level=error`, `status => 500`, `!status: 500`: read as KQL they would match nothing."""
    compared = compared_with_equals(leaf)
    if compared is not None and _known(compared[0]):
        raise compared[1]
    if not isinstance(leaf.field, Text):
        return
    if not _known(leaf.field.text):
        _refuse_joined(leaf.field)
        _refuse_decorated(leaf, leaf.field)
    elif isinstance(leaf.value, Text) and not leaf.value.quoted and leaf.value.text.startswith("="):
        raise KqlError(f"write {leaf.field.text}: {leaf.value.text.lstrip('= ')}", leaf.value.at)


def _refuse_joined(name: Text) -> None:
    """`a && b: c`: the name contains an operator of another language."""
    if joined := _AND_OR.search(name.text):
        word = "and" if joined[0] == "&&" else "or"
        raise KqlError(f'write "{word}" instead of "{joined[0]}"', name.at + joined.start())


def _refuse_decorated(leaf: Leaf, field: Text) -> None:
    """`!status: 500`, `status => 500`: a known name with characters of an operator around it."""
    name = field.text.strip("!=- ")
    if name == field.text or not _known(name) or field.quoted:
        return
    value = leaf.value.text if isinstance(leaf.value, Text) else "*".join(leaf.value.parts)
    value = value.lstrip("= ")
    wanted = f"not {name}: {value}"
    if isinstance(leaf, Range):
        operator = f"{leaf.operator}=" if "=" in field.text and len(leaf.operator) == 1 else leaf.operator
        wanted = f"{name} {operator} {value}"
    raise KqlError(f"{field.text!r} is not a field: write {wanted}", field.at)


def _known(name: str) -> bool:
    return name in ALIASES or name in BY_NAME
