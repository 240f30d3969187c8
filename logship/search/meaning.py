"""What a question asks of an event, said once for every translator: KQL's names become fields with a type, its values
become numbers, instants and words, and `>` on a date becomes a comparison with a nanosecond.

`meaning` gives a tree of few, dull tests; `sql` writes them as SQL, `matches` does them in Python, and each rule of KQL
stands here and nowhere else. Words are those of Elasticsearch's standard analyser, whatever their case. Addresses are
numbers of 128 bits, those of IPv4 in ::ffff:0:0/96, as Elasticsearch orders them.
"""

import difflib
import ipaddress
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Literal, TypeAlias

from logship.errors import KqlError, QuestionError, UnknownField
from logship.event.fields import FIELDS
from logship.search import kql
from logship.search.kql import And, Is, Node, Not, Or, Pattern, Range, Text, Value
from logship.search.shorthand import ALIASES, compared_with_equals, field_of, full, refuse_other_languages
from logship.search.times import interval

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
# What a word without a field is looked for in: the page's search bar must stay quick over the whole store.
BARE_TEXT_FIELDS = (
    "message", "error.message", "error.type", "error.stack_trace", "url.path", "http.route",
    "event.id", "http.request.id", "trace.id",
)  # fmt: skip

Operator: TypeAlias = Literal["=", "<", "<=", ">", ">="]
# `24.3ms`, `httpx.ConnectError`, `a:b`, `1,000` and `can't` are one word each; `/`, `-`, `@` and `=` part words.
LETTER_JOINTS, DIGIT_JOINTS = "'\u2019.:", ".,;'\u2019"
WORD = re.compile(rf"\w+(?:(?:(?<=[^\W\d_])[{LETTER_JOINTS}](?=[^\W\d_])|(?<=\d)[{DIGIT_JOINTS}](?=\d))\w+)*")
_IPV4_BEGINS = 0xFFFF << 32


@dataclass(frozen=True, slots=True)
class Target:
    """Where to look: a field, or the label `name`; `parts` stand for every label whose name fits the wildcard."""

    name: str
    kind: Kind
    parts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Every:
    parts: "tuple[Test, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    """No parts: never."""

    parts: "tuple[Test, ...]"


@dataclass(frozen=True, slots=True)
class Unless:
    part: "Test"


@dataclass(frozen=True, slots=True)
class Exists:
    target: Target


@dataclass(frozen=True, slots=True)
class Compare:
    """`value` has the type of the target's kind; dates are nanoseconds since 1970, addresses see `address_number`."""

    target: Target
    operator: Operator
    value: int | float | str | bool


@dataclass(frozen=True, slots=True)
class Within:
    """An address of a network: its number is from `low` to `high`, both included."""

    target: Target
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Like:
    """The whole text fits the pieces around the stars, in the same case."""

    target: Target
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """These words stand one after the other in running text, in any case."""

    target: Target
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WordLike:
    """A word of running text fits the pieces around the stars, in any case."""

    target: Target
    parts: tuple[str, ...]


Test: TypeAlias = Every | Some | Unless | Exists | Compare | Within | Like | Phrase | WordLike
NEVER, ALWAYS = Some(()), Every(())


def meaning(
    node: Node | None, now_ns: int, zone: tzinfo = UTC, is_label: Callable[[str], bool] = lambda _: True
) -> Test:
    """Return the tests that `node` stands for, `now` being `now_ns` and dates without an offset being in `zone`.

    `is_label`: whether an event may have a label of this name. An alias such as `status` then stands for the label as
    well, and a value that only the label can hold is no error.
    KqlError when a field is compared with what it cannot hold."""
    match node:
        case None:
            return ALWAYS
        case And(parts):
            return Every(tuple(meaning(part, now_ns, zone, is_label) for part in parts))
        case Or(parts):
            return Some(tuple(meaning(part, now_ns, zone, is_label) for part in parts))
        case Not(part):
            return Unless(meaning(part, now_ns, zone, is_label))
        case Is() | Range():
            return _Leaf(now_ns, zone).test_of(node, is_label)


def targets(name: Value) -> tuple[Target, ...]:
    """Return where a field name of KQL points to. A name that is no field is a label; a wildcard fits many of both."""
    if isinstance(name, Text):
        if (field := field_of(name.text)) in KIND_OF:
            return (Target(field, KIND_OF[field]),)
        if name.text in MAPS:
            return _labels("", ("", ""))
        return _labels(label_key(name.text))
    whole = like_regex(name.parts)
    found = tuple(Target(field, kind) for field, kind in KIND_OF.items() if whole.fullmatch(field))
    return found if found and name.parts[0] else found + _labels("", (label_key(name.parts[0]), *name.parts[1:]))


def columns_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the fields that hold these, the time left out; a label is in one of two maps."""
    held = dict.fromkeys(map(field_of, names))
    for name in [one for one in held if one not in KIND_OF and one not in MAPS]:
        del held[name]
        held |= dict.fromkeys(MAPS)
    return tuple(name for name in held if name != "@timestamp") or ("message",)


def unknown_names(node: Node | None) -> Iterator[Text]:
    """Names that are neither a field nor an alias: labels, if some event has such a label, or else mistakes."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from unknown_names(part)
        case Not(part):
            yield from unknown_names(part)
        case Is(Text() as name, _) | Range(Text() as name, _, _):
            if not is_field(name.text) and not name.text.startswith(MAPS):
                yield name


def is_field(name: str) -> bool:
    """Return whether `name` is a field, or an alias of one."""
    return name in KIND_OF or name in ALIASES


def compared_labels(node: Node | None) -> Iterator[tuple[str, KqlError]]:
    """Names in bare text such as `order_id=7` that are no field, each with its error in case there is such a label."""
    match node:
        case And(parts) | Or(parts):
            for part in parts:
                yield from compared_labels(part)
        case Not(part):
            yield from compared_labels(part)
        case Is() | Range():
            compared = compared_with_equals(node)
            if compared is not None:
                yield compared


def nearest(name: str, labels: Iterable[str] = ()) -> str | None:
    """Return the field, alias or label that somebody who typed `name` may have meant.

    `labels`: names of labels that occur, with or without `labels.` before them."""
    small = name.lower().replace("-", "_")
    if is_field(small):
        return small
    last = next((field for field in KIND_OF if field.endswith("." + small)), None)
    if last is not None:
        return last
    close = difflib.get_close_matches(name, [*KIND_OF, *ALIASES, *map(label_key, labels)], 1, 0.8)
    return close[0] if close else _same_words(small)


def _same_words(name: str) -> str | None:
    """The field with all words of a name such as `http.status_code` or `request.id`, in their order."""
    wanted = [word for word in re.split(r"[._]", name) if word]
    for field in KIND_OF if len(wanted) > 1 else ():
        held = iter(re.split(r"[._]", field))
        if all(word in held for word in wanted):
            return field
    return None


def unknown_field(name: str, at: int = 0, text: str = "", labels: Iterable[str] = ()) -> UnknownField:
    """Return the error for a name that is neither a field nor a label."""
    return UnknownField(name, nearest(name, labels) or "", at, text)


def words(text: str) -> tuple[str, ...]:
    """Return the words of running text, in small letters."""
    return tuple(WORD.findall(text.lower()))


def canonical(text: str) -> str | None:
    """Return an IP address as stores hold it, None when it is none. IPv4 within IPv6 is IPv4."""
    number = address_number(text)
    return None if number is None else address_text(number)


def address_number(text: str) -> int | None:
    """Return the address as a number of 128 bits, None when it is none."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        return None if found.scope_id else int(found)
    return _IPV4_BEGINS + int(found)


def address_text(number: int) -> str:
    """Return the text of an address that is held as `number`."""
    if number >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(number))


def like_regex(parts: tuple[str, ...], flags: int = re.DOTALL) -> re.Pattern[str]:
    """The pieces around the stars as a regular expression for a whole text."""
    return re.compile(".*".join(map(re.escape, parts)), flags)


def _labels(key: str, parts: tuple[str, ...] | None = None) -> tuple[Target, ...]:
    return Target(key, "label", parts), Target(key, "number label", parts)


def label_key(name: str) -> str:
    """Return the key of a label, without the name of its map."""
    return (
        name.removeprefix("numeric_").removeprefix("labels.")
        if name.startswith(("labels.", "numeric_labels."))
        else name
    )


class _Leaf:
    """One comparison of KQL. When several fields are meant, those that cannot hold the value are passed over."""

    def __init__(self, now_ns: int, zone: tzinfo) -> None:
        self.now_ns, self.zone = now_ns, zone

    def test_of(self, leaf: Is | Range, is_label: Callable[[str], bool]) -> Test:
        refuse_other_languages(leaf)
        if not isinstance(leaf.field, Text) or leaf.field.text not in ALIASES or not is_label(leaf.field.text):
            return self.test_full(full(leaf))
        label = self.test_leaf(replace(leaf, field=replace(leaf.field, text=f"labels.{leaf.field.text}")))
        try:
            return Some((self.test_full(full(leaf)), label))
        except KqlError:
            return label

    def test_full(self, node: Node) -> Test:
        """The tests of what a leaf became: no name in it is an alias."""
        match node:
            case And(parts):
                return Every(tuple(map(self.test_full, parts)))
            case Or(parts):
                return Some(tuple(map(self.test_full, parts)))
            case Not(part):
                return Unless(self.test_full(part))
            case Is() | Range():
                return self.test_leaf(node)

    def test_leaf(self, leaf: Is | Range) -> Test:
        if isinstance(leaf, Range):
            return self.test_range(leaf.field, leaf.operator, leaf.value)
        return self.test_is(leaf.field, leaf.value)

    def test_is(self, name: Value | None, value: Value) -> Test:
        if isinstance(name, Pattern) and name.any and isinstance(value, Pattern) and value.any:
            return ALWAYS
        if name is None:
            if isinstance(value, Pattern):
                return ALWAYS if value.any else self.bare_pattern(value)
            return self.over([Target(field, KIND_OF[field]) for field in BARE_TEXT_FIELDS], "=", value)
        return self.over(targets(name), "=", value)

    def bare_pattern(self, pattern: Pattern) -> Test:
        """Without a field, blanks part patterns: any of them will do."""
        found = [Target(field, KIND_OF[field]) for field in BARE_TEXT_FIELDS]
        tests = [
            self.over(found, "=", Pattern(parts, pattern.at) if len(parts) > 1 else Text(parts[0]))
            for parts in _blank_parted(pattern.parts)
        ]
        return tests[0] if len(tests) == 1 else Some(tuple(tests))

    def test_range(self, name: Value, operator: kql.Operator, value: Text) -> Test:
        return self.over(targets(name), operator, value)

    def over(self, found: "list[Target] | tuple[Target, ...]", operator: Operator, value: Value) -> Test:
        tests: list[Test] = []
        for target in found:
            try:
                tests.append(self.one(target, operator, value))
            except QuestionError as wrong:
                if len(found) == 1:
                    raise KqlError(str(wrong), value.at) from None
        return tests[0] if len(tests) == 1 else Some(tuple(test for test in tests if test != NEVER))

    def one(self, target: Target, operator: Operator, value: Value) -> Test:
        if isinstance(value, Pattern):
            return self.fits(target, value)
        text = value.text
        match target.kind:
            case "integer":
                return _integer(target, operator, _decimal(target.name, text))
            case "number":
                return Compare(target, operator, float(_decimal(target.name, text)))
            case "number label":
                number = _number(text)
                return NEVER if number is None else Compare(target, operator, float(number))
            case "label":
                numeric = operator != "=" and _number(text) is not None
                return NEVER if numeric else Compare(target, operator, text)
            case "boolean":
                if text not in ("true", "false"):
                    raise QuestionError(f"{target.name} is true or false, not {text!r}")
                return Compare(target, operator, text == "true")
            case "date":
                return self.date(target, operator, text)
            case "ip":
                return self.address(target, operator, text)
            case "text":
                if operator != "=":
                    raise QuestionError(f"{target.name} is running text, in which nothing is {operator} something")
                found = words(text)
                if value.quoted:
                    return Phrase(target, found) if found else NEVER
                return _any_word(target, found)
            case _:
                return Compare(target, operator, text)

    def fits(self, target: Target, pattern: Pattern) -> Test:
        if pattern.any:
            return Exists(target)
        match target.kind:
            case "integer" | "number" | "date" | "boolean":
                raise QuestionError(f"{target.name} holds no text, so * cannot be part of its value; write >= and <")
            case "ip":
                raise QuestionError(f"{target.name} holds addresses, not text with *; write 10.0.0.0/8, or >= and <")
            case "number label":
                return NEVER
            case "text":
                tests = [_word_like(target, parts) for parts in _blank_parted(pattern.parts)]
                return tests[0] if len(tests) == 1 else Some(tuple(tests))
            case _:
                return Like(target, pattern.parts)

    def address(self, target: Target, operator: Operator, text: str) -> Test:
        number = address_number(text)
        if number is not None:
            return Compare(target, operator, number)
        try:
            network = ipaddress.ip_network("" if "%" in text else text, strict=False)
        except ValueError:
            raise QuestionError(f"{target.name} holds addresses, and {text!r} is none, nor a network") from None
        if operator != "=":
            raise QuestionError(f"{operator} compares with one address, and {text!r} is a network")
        base = _IPV4_BEGINS if network.version == 4 else 0
        return Within(target, base + int(network.network_address), base + int(network.broadcast_address))

    def date(self, target: Target, operator: Operator, text: str) -> Test:
        low, high = interval(text, self.now_ns, self.zone)
        if operator == "=":
            return Every((Compare(target, ">=", low), Compare(target, "<=", high)))
        return Compare(target, operator, high if operator in (">", "<=") else low)


def _blank_parted(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    """A pattern as those between its blanks; pieces of one are no pattern but text."""
    found: list[list[str]] = [[""]]
    for at, part in enumerate(parts):
        if at:
            found[-1].append("")
        first, *others = re.split(r"\s+", part)
        found[-1][-1] += first
        found += [[other] for other in others]
    return [tuple(one) for one in found if one != [""]]


def _word_like(target: Target, parts: tuple[str, ...]) -> Test:
    if len(parts) == 1:
        return _any_word(target, words(parts[0]))
    return WordLike(target, tuple(part.lower() for part in parts)) if any(parts) else Exists(target)


def _any_word(target: Target, found: tuple[str, ...]) -> Test:
    tests = tuple(Phrase(target, (word,)) for word in found)
    return tests[0] if len(tests) == 1 else Some(tests)


def _integer(target: Target, operator: Operator, number: Decimal) -> Test:
    """Compare with a whole number: 499.5 is no value of the field, but `> 499.5` is `> 499`."""
    if abs(number) > 2**64:
        number = Decimal(2**64).copy_sign(number)
    if operator == "=":
        return Compare(target, "=", int(number)) if number == int(number) else NEVER
    return Compare(target, operator, math.ceil(number) if operator in (">=", "<") else math.floor(number))


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip()) if text.isascii() and "_" not in text else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _decimal(name: str, text: str) -> Decimal:
    number = _number(text)
    if number is None:
        raise QuestionError(f"{name} holds numbers, and {text!r} is none")
    return number
