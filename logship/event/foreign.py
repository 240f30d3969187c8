"""Objects of other libraries as plain values, without importing those libraries: models, records, arrays, tensors.

A field that a class leaves out of its repr is not shown, because that is how applications keep secrets out of logs.
Attributes are looked up on the class and not on the object, because a mock has every attribute."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final

# Returned for an object of which only its repr is known.
UNKNOWN: Final = object()


def plain(value: object, most_items: int) -> object:
    """Return the fields of a model or record as a map, the items of an array (at most `most_items`) as a list, a scalar of
    numpy and similar libraries as a number; else UNKNOWN. Raises the errors of the methods of the object."""
    fields = _fields(value)
    if fields is not None:
        return fields
    kind = type(value)
    if hasattr(kind, "dtype") and callable(getattr(kind, "tolist", None)):
        return value.tolist() if 0 <= _size(value) <= most_items else UNKNOWN  # type: ignore[attr-defined]
    return UNKNOWN


def _fields(value: object) -> Mapping[Any, object] | None:
    """Return the fields in the repr of a dataclass, an attrs class or a pydantic model; None for anything else."""
    kind: Any = type(value)
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(kind):
        parameters = getattr(kind, "__dataclass_params__", None)
        if parameters is not None and not parameters.repr:
            return None  # the class has its own repr, or none
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(kind) if field.repr}
    if isinstance(attributes := getattr(kind, "__attrs_attrs__", None), tuple):
        return {
            one.name: getattr(value, one.name) if one.repr is True else one.repr(getattr(value, one.name))
            for one in attributes
            if one.repr is not False
        }
    if callable(getattr(kind, "model_dump", None)):
        return _model(value, kind)
    return None


def _model(value: Any, kind: Any) -> Mapping[Any, object] | None:
    """Return the fields of a pydantic model, with computed and extra ones. Nested models are not dumped: they may hide fields."""
    declared = _declared(kind, "fields")
    if not declared:
        return None
    if any("__repr__" in vars(one) or "__repr_args__" in vars(one) for one in _own_classes(kind)):
        return None
    shown = {
        name: getattr(value, name)
        for name, field in {**declared, **_declared(kind, "computed_fields")}.items()
        if getattr(field, "repr", True) and not getattr(field, "exclude", None)
    }
    extra = getattr(value, "__pydantic_extra__", None)
    return {**shown, **extra} if isinstance(extra, dict) else shown


def _declared(kind: Any, what: str) -> Mapping[str, Any]:
    """Return the declared fields of the class of a model, by the newer or older name of the attribute."""
    found = getattr(kind, f"__pydantic_{what}__", None) or getattr(kind, f"model_{what}", None)
    return found if isinstance(found, Mapping) else {}


def _own_classes(kind: type) -> list[type]:
    """Return the classes of a model that belong to the application, not to pydantic or sqlmodel."""
    return [one for one in kind.__mro__ if one.__module__.partition(".")[0] not in {"pydantic", "sqlmodel", "builtins"}]


def _size(value: Any) -> int:
    """Return the number of items of an array, from `size` or `shape`, which may be methods; -1 if unknown."""
    for name in ("size", "shape"):
        found = getattr(value, name, None)
        if callable(found):
            found = found()
        if isinstance(found, int):
            return found
        if isinstance(found, (tuple, list)) and all(isinstance(side, int) for side in found):
            return math.prod(found)
    return -1
