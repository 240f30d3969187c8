import dataclasses
import math
from collections import OrderedDict, deque, namedtuple
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

import orjson
import ormsgpack
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.event.clean import LIMITS, LONG_MAX, LONG_MIN, ValueLimits, application_fields, clean_key, clean_value
from logship.event.redact import Redactor
from logship.testing import PLANTED, assert_no_secrets, plant

REDACTOR = Redactor(("customer_name",))


class Colour(Enum):
    RED = "red"
    OTHER = (1, 2)


class Size(IntEnum):
    SMALL = 1


@dataclasses.dataclass
class Order:
    number: int
    lines: list[str]
    password: str = dataclasses.field(default="x", repr=False)


class Customer(pydantic.BaseModel):
    name: str
    born: date
    key: pydantic.SecretStr = pydantic.SecretStr("hidden")


Point = namedtuple("Point", "x y")


class Refuses:
    def __repr__(self) -> str:
        raise ValueError("no")


class Exits:
    def __repr__(self) -> str:
        raise SystemExit(3)


@dataclasses.dataclass
class Model:
    name: str = "ann"

    def __getattribute__(self, name: str) -> NoReturn:
        raise RuntimeError("no")


class Shouting(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise ValueError("no")


class Scalar:
    """What numpy.int64 looks like from outside."""

    dtype = "int64"
    size = 1

    def tolist(self) -> int:
        return 7


class Array(Scalar):
    size = 10**9

    def __repr__(self) -> str:
        return "array of many"


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        (None, None),
        (True, True),
        (LONG_MAX, LONG_MAX),
        (LONG_MIN, LONG_MIN),
        (LONG_MAX + 1, str(LONG_MAX + 1)),
        (10**5000, "[integer of 16610 bits]"),
        (1.5, 1.5),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (Decimal("12.50"), 12.5),
        (Decimal("0.12345678901234567890"), "0.12345678901234567890"),
        (Decimal("NaN"), "NaN"),
        (Decimal("1e999"), "1E+999"),
        (Fraction(1, 4), 0.25),
        (1 + 2j, "(1+2j)"),
        (datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "2026-01-02T03:04:05.000006+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (timedelta(milliseconds=1500), 1.5),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("/a/b"), "/a/b"),
        (Colour.RED, "red"),
        (Colour.OTHER, "OTHER"),
        (Size.SMALL, 1),
        (Order(7, ["a"]), {"number": 7, "lines": ["a"]}),
        (
            Customer(name="Ann", born=date(2000, 1, 1)),
            {"name": "Ann", "born": "2000-01-01", "key": "SecretStr('**********')"},
        ),
        (Point(1, 2), {"x": 1, "y": 2}),
        (Order, f"{__name__}.Order"),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset("a"), ["a"]),
        ((1, "a"), [1, "a"]),
        (deque([1]), [1]),
        ({"a": 1}.keys(), ["a"]),
        (OrderedDict(a=1), {"a": 1}),
        (b"text", "text"),
        (bytearray(b"\xff\x00"), "hex:ff00"),
        (memoryview(b"text"), "text"),
        ({1: "a", None: "b", (1, 2): "c", b"k": "d"}, {"1": "a", "None": "b", "[1, 2]": "c", "k": "d"}),
        ({1: "a", "1": "b"}, {"1": "a", "1~2": "b"}),
        ({"": 1, "  ": 2}, {"_": 1, "_~2": 2}),
        ("\ud800", "\ufffd"),
        (Shouting("loud"), "loud"),
        (ValueError("no"), "ValueError: no"),
        (Scalar(), 7),
        (Array(), "array of many"),
        (Refuses(), "[unreadable Refuses]"),
        (Exits(), "[unreadable Exits]"),
        (Model(), "[unreadable Model]"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_becomes_what_every_store_can_take(value: object, cleaned: object) -> None:
    assert clean_value(value) == cleaned
    assert type(clean_value(value)) is type(cleaned)


def test_cycles_end() -> None:
    knot: dict[str, object] = {"n": 1}
    knot["self"] = knot
    ring: list[object] = []
    ring.append(ring)
    assert clean_value(knot) == {"n": 1, "self": "[cycle]"}
    assert clean_value(ring) == ["[cycle]"]
    assert clean_value([(same := [1]), same]) == [[1], [1]]


def test_depth_items_and_text_have_limits() -> None:
    deep: object = "bottom"
    for _ in range(100):
        deep = [deep]
    assert "[too deep]" in str(clean_value(deep))
    many = clean_value(list(range(1000)))
    assert isinstance(many, list)
    assert many[255:] == [255, "[744 more]"]
    some = clean_value({str(n): n for n in range(1000)})
    assert isinstance(some, dict)
    assert some["_cut"] == "744 more"
    text = clean_value("é" * 100_000)
    assert isinstance(text, str)
    assert len(text.encode()) <= LIMITS.text_bytes
    assert text.endswith("bytes]")


def test_what_is_shared_many_times_does_not_multiply() -> None:
    shared: list[object] = []
    for _ in range(8):
        shared = [shared] * 200
    assert len(orjson.dumps(clean_value(shared))) < 64 * 1024


class Counting(Redactor):
    """Counts the characters that it is given to read."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    def text(self, text: str) -> str:
        self.read += len(text)
        return super().text(text)


def tree() -> dict[str, object]:
    root: dict[str, object] = {"name": "root"}
    root["children"] = [{"name": str(number), "parent": root} for number in range(2)]
    return root


def shared() -> list[object]:
    inner: list[object] = ["x"]
    for _ in range(20):
        inner = [inner] * 2
    return inner


@pytest.mark.parametrize("value", [tree(), shared(), {"a": {"b": ["password=x" * 10_000] * 1000}}])
def test_the_second_call_has_the_same_limits_as_the_first(value: object) -> None:
    redactor = Counting()
    calls = [application_fields({"node": value}, redactor) for _ in range(2)]
    assert calls[0] == calls[1]
    assert redactor.read < 4 * LIMITS.characters


@pytest.mark.parametrize(
    "fields",
    [
        {f"field{number}": "password=hunter2" * 1000 for number in range(200)},
        {f"field{number}": "a" * 255 for number in range(100_000)},
        {"x" * 5000 + str(number): number for number in range(1000)},
        {"deep": [{"k" * 250 + str(number): "v" * 250} for number in range(1000)]},
    ],
)
def test_what_is_read_of_all_fields_together_is_limited(fields: dict[str, object]) -> None:
    for _ in range(2):
        redactor = Counting()
        labels, numbers, cut = application_fields(fields, redactor)
        assert cut
        assert len(labels) + len(numbers) <= LIMITS.values
        assert redactor.read < 8 * LIMITS.characters


class Endless(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        while True:
            yield "a"

    def __len__(self) -> int:
        return 2**62


def test_a_map_without_an_end_is_cut() -> None:
    assert isinstance(clean_value(Endless()), dict)


ANYTHING = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.integers(-(2**70), 2**70), st.floats(), st.text(), st.binary(),
        st.decimals(), st.fractions(), st.datetimes(), st.dates(), st.timedeltas(), st.uuids(), st.complex_numbers(),
        st.just("\ud800\x00"), st.builds(Refuses), st.builds(Exits), st.builds(Model), st.sampled_from(Colour),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.tuples(inner, inner), st.builds(Order, inner, inner),
        st.dictionaries(st.one_of(st.text(), st.integers(), st.none(), st.binary(), st.just("\ud800.\n")), inner, max_size=4),
    ),
    max_leaves=20,
)  # fmt: skip


@given(ANYTHING)
def test_whatever_comes_can_be_packed_and_written_as_json(value: object) -> None:
    cleaned = clean_value(value)
    assert orjson.loads(orjson.dumps(cleaned)) == cleaned
    assert ormsgpack.unpackb(ormsgpack.packb(cleaned)) == cleaned


@given(st.dictionaries(st.one_of(st.text(), st.integers(), st.just(" . ")), ANYTHING, max_size=6))
def test_application_fields_are_flat_and_of_two_kinds(fields: dict[object, object]) -> None:
    labels, numbers, _ = application_fields(fields, REDACTOR)
    orjson.dumps([labels, numbers])
    ormsgpack.packb([labels, numbers])
    assert all(type(value) in {str, bool} for value in labels.values())
    assert all(type(value) in {int, float} for value in numbers.values())
    assert labels.keys().isdisjoint(numbers)
    for name in (*labels, *numbers):
        assert name.strip()
        assert name.isprintable()
        assert len(name) <= 256


def test_text_and_booleans_are_labels_and_numbers_are_apart() -> None:
    fields = {"order_id": 7, "tenant": "north", "paid": True, "took": 1.5, "nothing": None}
    assert application_fields(fields) == (
        {"tenant": "north", "paid": True},
        {"order_id": 7, "took": 1.5},
        False,
    )


def test_nested_names_are_joined_by_dots_and_lists_become_text() -> None:
    fields = {
        "user": {"name": "ann", "address": {"zip": 8000}, "tags": ["a", "b"]},
        "counts": [1, 2, None, True],
        "lines": [{"sku": "x"}],
        "empty": {},
    }
    assert application_fields(fields) == (
        {
            "user.name": "ann",
            "user.tags": "a, b",
            "counts": "1, 2, null, true",
            "lines": '[{"sku":"x"}]',
            "empty": "{}",
        },
        {"user.address.zip": 8000},
        False,
    )


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("order", "order"),
        ("", "_"),
        ("  ", "_"),
        ("...", "_"),
        ("a..b", "a.b"),
        (".a.", "a"),
        ("a\x00b\nc", "a_b_c"),
        ("@timestamp", "@timestamp"),
        ("x" * 1000, "x" * 256),
        (1, "1"),
        (None, "None"),
        (Refuses(), "[unreadable Refuses]"),
        ("\ud800", "\ufffd"),
    ],
)
def test_every_key_becomes_a_name(key: object, name: str) -> None:
    assert clean_key(key) == name


def test_what_was_cut_is_told() -> None:
    for value in ("x" * 20_000, list(range(300)), 10**5000, Refuses()):
        labels, _, cut = application_fields({"value": value})
        assert cut
        assert labels
    assert application_fields({"value": 2**64}) == ({"value": str(2**64)}, {}, False)


class Hostile(dict[str, Any]):
    def items(self) -> NoReturn:
        raise RuntimeError("no")


def test_a_map_that_cannot_be_read_is_named() -> None:
    assert application_fields(Hostile(a=1)) == ({"unreadable": "Hostile"}, {}, True)


def test_secrets_are_taken_out_by_name_and_by_look_and_numbers_under_such_names_become_labels() -> None:
    fields = {"user": {"pin": 1234, "name": "ann"}, "cvv": 512, "note": "Bearer abc123def", "n": 4111111111111111}
    labels, numbers, _ = application_fields(fields, REDACTOR)
    assert labels == {
        "user.pin": "[redacted:secret]",
        "user.name": "ann",
        "cvv": "[redacted:card]",
        "note": "Bearer [redacted:authorization]",
        "n": "[redacted:card]",
    }
    assert numbers == {}


@pytest.mark.parametrize("kind", sorted(PLANTED))
def test_no_planted_secret_survives_wherever_it_stands_in_a_field(kind: str) -> None:
    text = plant(kind)
    places: dict[object, object] = {
        "plain": text,
        "nested": {"deeper": {"deepest": text}},
        "listed": ["a", text],
        "mapped": [{"inside": text}],
        "bytes": text.encode(),
        "error": ValueError(text),
        "order": Order(1, [text]),
        text: 1,
        "long": "x " * 9000 + text + " y" * 9000,
        "at the cut": "x " * ((LIMITS.text_bytes - 60) // 2) + text + " y" * 9000,
    }
    assert_no_secrets(application_fields(places, REDACTOR), [PLANTED[kind]])


@given(st.integers(0, 200), st.sampled_from(sorted(PLANTED)))
def test_a_cut_never_leaves_half_a_secret(shift: int, kind: str) -> None:
    text = "x " * ((LIMITS.text_bytes - shift) // 2) + plant(kind) + " y" * 9000
    labels, _, cut = application_fields({"note": text}, REDACTOR)
    assert cut
    assert_no_secrets(labels, [PLANTED[kind][:6]])


def test_limits_can_be_narrower() -> None:
    assert clean_value([1, 2, 3], ValueLimits(items=2)) == [1, 2, "[1 more]"]
    assert clean_value([[1]], ValueLimits(depth=1)) == ["[too deep]"]
