"""Objects of other libraries: their values, or their repr; and nothing that they hide from their own repr."""

import dataclasses
import json
from typing import Any
from unittest.mock import MagicMock

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, SecretStr, computed_field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from logship.event.clean import application_fields, clean_value

HIDDEN = "1984-05-06"


@dataclasses.dataclass
class Person:
    name: str
    birthday: str = dataclasses.field(repr=False)


@dataclasses.dataclass(repr=False)
class Closed:
    birthday: str

    def __repr__(self) -> str:
        return "Closed(***)"


@pydantic_dataclass
class Checked:
    name: str
    birthday: str = Field(repr=False)


class User(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str
    birthday: str = Field(repr=False)
    left_out: str = Field(default=HIDDEN, exclude=True)
    key: SecretStr = SecretStr("s3cret")

    @computed_field(repr=False)  # type: ignore[prop-decorator]
    @property
    def born(self) -> str:
        return self.birthday

    @computed_field  # type: ignore[prop-decorator]
    @property
    def shout(self) -> str:
        return self.name.upper()


class Masked(BaseModel):
    birthday: str

    def __repr_args__(self) -> Any:
        yield "birthday", "***"


class Family(BaseModel):
    members: list[User]


class Attributed:
    """As attrs makes a class, in the names that matter: some attributes hide, or have a repr of their own."""

    class Attribute:
        def __init__(self, name: str, how: Any) -> None:
            self.name, self.repr = name, how

    __attrs_attrs__ = (Attribute("name", True), Attribute("birthday", False), Attribute("card", lambda value: "***"))

    def __init__(self) -> None:
        self.name, self.birthday, self.card = "ann", HIDDEN, HIDDEN


@pytest.mark.parametrize(
    "value",
    [
        Person("ann", HIDDEN),
        Closed(HIDDEN),
        Checked("ann", HIDDEN),
        User(name="ann", birthday=HIDDEN),
        Masked(birthday=HIDDEN),
        Family(members=[User(name="ann", birthday=HIDDEN)]),
        Attributed(),
        [Person("ann", HIDDEN)],
        {"nested": {"deep": User(name="ann", birthday=HIDDEN)}},
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_class_hides_from_its_repr_is_not_shown(value: object) -> None:
    shown = json.dumps([clean_value(value), application_fields({"value": value})])
    assert HIDDEN not in shown
    assert "s3cret" not in shown
    assert "unreadable" not in shown


def test_a_models_fields_are_shown_with_its_computed_and_extra_ones() -> None:
    user = User(name="ann", birthday=HIDDEN, plan="gold")  # type: ignore[call-arg]
    shown = clean_value(user)
    assert shown == {"name": "ann", "key": "SecretStr('**********')", "shout": "ANN", "plan": "gold"}
    assert clean_value(RootModel[list[int]]([1, 2])) == {"root": [1, 2]}
    assert clean_value(Attributed()) == {"name": "ann", "card": "***"}


class Tensor:
    """An array as torch and tensorflow show themselves: sizes are methods or objects of their own."""

    dtype = "float32"

    def __init__(self, items: Any, size: Any = None, shape: Any = None) -> None:
        self._items = items
        if size is not None:
            self.size = size
        if shape is not None:
            self.shape = shape

    def tolist(self) -> Any:
        assert len(self._items) < 1000, "a large array must not be copied"
        return self._items

    def __repr__(self) -> str:
        return f"tensor of {len(self._items)}"


@pytest.mark.parametrize(
    ("size", "shape"), [(lambda: (2,), None), (2, None), (None, (1, 2)), (None, lambda: [2]), ("two", (2,))]
)
def test_arrays_are_known_by_any_kind_of_size(size: Any, shape: Any) -> None:
    assert clean_value(Tensor([1.5, 2.5], size, shape)) == [1.5, 2.5]


def test_large_arrays_and_arrays_of_unknown_size_are_their_repr() -> None:
    assert clean_value(Tensor([0] * 1000, lambda: (10, 100))) == "tensor of 1000"
    assert clean_value(Tensor([1.5])) == "tensor of 1"


@pytest.mark.parametrize("mock", [MagicMock(), MagicMock(spec=User), MagicMock(spec=Tensor), MagicMock(spec=Person)])
def test_a_mock_answers_to_every_name_and_is_its_repr(mock: MagicMock) -> None:
    shown = clean_value({"client": mock})
    assert isinstance(shown, dict)
    assert str(shown["client"]).startswith("<MagicMock")
