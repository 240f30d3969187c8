"""What a KQL query means: names become fields with a type, values become numbers, instants and words.

`meaning` returns a tree of `predicate` tests. Every rule of KQL is here and nowhere else: `sql` and `dsl` only translate,
and `matches` evaluates the same tests in Python.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from decimal import Decimal, InvalidOperation

from logship.errors import KqlError, QuestionError
from logship.search.addresses import address_number, network_numbers
from logship.search.kql import And, Is, Leaf, Node, Not, Or, Pattern, Range, Text, Value
from logship.search.mistakes import refuse_other_languages
from logship.search.predicate import (
    ALWAYS,
    NEVER,
    Compare,
    Comparison,
    Every,
    Exists,
    Like,
    Phrase,
    Some,
    Test,
    Unless,
    Within,
    WordLike,
    any_of,
)
from logship.search.shorthand import ALIASES, NANOSECONDS, full
from logship.search.targets import Target, bare_text_targets, targets
from logship.search.times import interval
from logship.search.words import split_at_space, words


def meaning(
    node: Node | None, now_ns: int, zone: tzinfo = UTC, is_label: Callable[[str], bool] = lambda _: True
) -> Test:
    """Return the tests that `node` stands for. Relative dates count from `now_ns`; dates without an offset are in `zone`.

    `is_label`: whether an event may have a label of this name. An alias such as `status` then also stands for the label,
    and a value that only the label can have is not an error.
    KqlError if a field is compared with a value that it cannot have."""
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
            return _with_label(node, _Comparisons(now_ns, zone), is_label)


def _with_label(leaf: Leaf, comparisons: "_Comparisons", is_label: Callable[[str], bool]) -> Test:
    refuse_other_languages(leaf)
    if not isinstance(leaf.field, Text) or leaf.field.text not in ALIASES or not is_label(leaf.field.text):
        return comparisons.of(full(leaf))
    label = comparisons.of(replace(leaf, field=replace(leaf.field, text=f"labels.{leaf.field.text}")))
    try:
        return Some((comparisons.of(full(leaf)), label))
    except KqlError:
        return label


@dataclass(frozen=True, slots=True)
class _Comparisons:
    """Turns comparisons without aliases into tests.

    If a name stands for several fields, those that cannot have the value are left out."""

    now_ns: int
    zone: tzinfo

    def of(self, node: Node) -> Test:
        match node:
            case And(parts):
                return Every(tuple(map(self.of, parts)))
            case Or(parts):
                return Some(tuple(map(self.of, parts)))
            case Not(part):
                return Unless(self.of(part))
            case Range(name, operator, value):
                return self.over(targets(name), operator, value)
            case Is(name, value):
                return self.equals(name, value)

    def equals(self, name: Value | None, value: Value) -> Test:
        anything = isinstance(value, Pattern) and value.any
        if anything and (name is None or (isinstance(name, Pattern) and name.any)):
            return ALWAYS
        if name is not None:
            return self.over(targets(name), "=", value)
        return self.bare_pattern(value) if isinstance(value, Pattern) else self.over(bare_text_targets(), "=", value)

    def bare_pattern(self, pattern: Pattern) -> Test:
        """Without a field, spaces separate patterns, and one match is enough."""
        values = [
            Pattern(parts, pattern.at) if len(parts) > 1 else Text(parts[0]) for parts in split_at_space(pattern.parts)
        ]
        tests = tuple(self.over(bare_text_targets(), "=", value) for value in values)
        return tests[0] if len(tests) == 1 else Some(tests)

    def over(self, found: Sequence[Target], operator: Comparison, value: Value) -> Test:
        tests: list[Test] = []
        for target in found:
            try:
                tests.append(self.compared(target, operator, value))
            except QuestionError as error:
                if len(found) == 1:
                    raise KqlError(str(error), value.at) from None
        return any_of(tuple(tests))

    def compared(self, target: Target, operator: Comparison, value: Value) -> Test:
        if isinstance(value, Pattern):
            return _pattern(target, value)
        match target.kind:
            case "integer":
                return _integer(target, operator, _decimal(target.name, value.text))
            case "number":
                return Compare(target, operator, float(_decimal(target.name, value.text)))
            case "number label":
                number = _number(value.text)
                return NEVER if number is None else Compare(target, operator, float(number))
            case "label":
                numeric = operator != "=" and _number(value.text) is not None
                return NEVER if numeric else Compare(target, operator, value.text)
            case "boolean":
                return _boolean(target, operator, value.text)
            case "date":
                return self.date(target, operator, value.text)
            case "ip":
                return _address(target, operator, value.text)
            case "text":
                return _running_text(target, operator, value)
            case _:
                return Compare(target, operator, value.text)

    def date(self, target: Target, operator: Comparison, text: str) -> Test:
        low, high = interval(text, self.now_ns, self.zone)
        if operator == "=":
            return Every((Compare(target, ">=", low), Compare(target, "<=", high)))
        return Compare(target, operator, high if operator in (">", "<=") else low)


def _pattern(target: Target, pattern: Pattern) -> Test:
    if pattern.any:
        return Exists(target)
    match target.kind:
        case "integer" | "number" | "date" | "boolean":
            raise QuestionError(f"{target.name} is not text, so its value cannot contain *: use >= and <")
        case "ip":
            raise QuestionError(f"{target.name} is an address, so its value cannot contain *: use 10.0.0.0/8, or >= and <")
        case "number label":
            return NEVER
        case "text":
            tests = tuple(_word_like(target, parts) for parts in split_at_space(pattern.parts))
            return tests[0] if len(tests) == 1 else Some(tests)
        case _:
            return Like(target, pattern.parts)


def _boolean(target: Target, operator: Comparison, text: str) -> Test:
    if text not in ("true", "false"):
        raise QuestionError(f"{target.name} is true or false, not {text!r}")
    return Compare(target, operator, text == "true")


def _address(target: Target, operator: Comparison, text: str) -> Test:
    number = address_number(text)
    if number is not None:
        return Compare(target, operator, number)
    network = network_numbers(text)
    if network is None:
        raise QuestionError(f"{target.name} is an IP address: {text!r} is not an address or a network")
    if operator != "=":
        raise QuestionError(f"{operator} needs a single address, and {text!r} is a network")
    return Within(target, *network)


def _running_text(target: Target, operator: Comparison, value: Text) -> Test:
    if operator != "=":
        raise QuestionError(f"{target.name} is running text and cannot be compared with {operator}: use {target.name}: word")
    wanted = words(value.text)
    if value.quoted:
        return Phrase(target, wanted) if wanted else NEVER
    return _any_word(target, wanted)


def _word_like(target: Target, parts: tuple[str, ...]) -> Test:
    if len(parts) == 1:
        return _any_word(target, words(parts[0]))
    return WordLike(target, tuple(part.lower() for part in parts)) if any(parts) else Exists(target)


def _any_word(target: Target, wanted: tuple[str, ...]) -> Test:
    tests = tuple(Phrase(target, (word,)) for word in wanted)
    return tests[0] if len(tests) == 1 else Some(tests)


def _integer(target: Target, operator: Comparison, number: Decimal) -> Test:
    """Compare with an integer: the field is never 499.5, but `> 499.5` is `> 499`."""
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
        wanted = "a duration, e.g. 100ms or 1.5s" if name in NANOSECONDS else "a number"
        raise QuestionError(f"{name} is {wanted}, not {text!r}")
    return number
