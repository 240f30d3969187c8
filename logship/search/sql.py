"""Questions as SQL for the columns of the embedded store. Whatever a person typed travels as a parameter; only names of
our own table of fields are ever part of the text."""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

from logship.search.addresses import address_text
from logship.search.alternatives import Alternative, ByValue, OneOf, alternatives
from logship.search.kql import Node, Text
from logship.search.meaning import meaning
from logship.search.predicate import Compare, Every, Exists, Like, Phrase, Some, Test, Unless, Within, WordLike
from logship.search.targets import KIND_OF, MAPS, Target, targets
from logship.search.words import DIGIT_JOINTS, LETTER_JOINTS

# Classes of characters, for use within brackets. RE2's \w knows ASCII only; these are Python's.
_DIGITS, _LETTERS = r"\p{Nd}", r"\p{L}\p{Nl}\p{No}"
_WORDS = r"\p{L}\p{N}_"
# A word as in `meaning.WORD`; RE2 cannot look around, so runs of letters and of digits hold their joints.
_WORD = rf"(?:[{_LETTERS}](?:[{LETTER_JOINTS}]?[{_LETTERS}])*|[{_DIGITS}](?:[{DIGIT_JOINTS}]?[{_DIGITS}])*|_)+"
WHOLE_WORD = re.compile(r"\w+")
# An address as 32 hexadecimal digits, which as text are in the order of numbers. {0} is its text.
_IPV4_KEY = (
    "'00000000000000000000ffff' || format('{{:02x}}{{:02x}}{{:02x}}{{:02x}}', "
    + ", ".join(f"try_cast(split_part({{0}}, '.', {part}) AS INTEGER)" for part in (1, 2, 3, 4))
    + ")"
)
_GROUPS = "array_to_string(list_transform(string_split({0}, ':'), lambda g: CASE g WHEN '' THEN '' ELSE lpad(g, 4, '0') END), '')"
_IPV6_HEAD, _IPV6_TAIL = (_GROUPS.format(f"split_part({{0}}, '::', {part})") for part in (1, 2))
_IPV6_KEY = f"{_IPV6_HEAD} || repeat('0', 32 - length({_IPV6_HEAD}) - length({_IPV6_TAIL})) || {_IPV6_TAIL}"
_ADDRESS_KEY = f"(CASE WHEN contains({{0}}, ':') THEN {_IPV6_KEY} ELSE {_IPV4_KEY} END)"


@dataclass(frozen=True, slots=True)
class Sql:
    """A piece of SQL with a ? for each of `params`, in order."""

    text: str
    params: tuple[Any, ...] = ()


def where(node: Node | None, now_ns: int, zone: tzinfo = UTC, is_label: Callable[[str], bool] = lambda _: True) -> Sql:
    """Return the condition of `node`; it is NULL or false for a row that does not match. `is_label` as in `meaning`.

    KqlError as in `meaning`."""
    writer = _Writer()
    return Sql(writer.test(meaning(node, now_ns, zone, is_label)), tuple(writer.params))


@dataclass(frozen=True, slots=True)
class Value:
    """`key`: an expression to group by, NULL where there is none; `text`: how {} of it becomes text."""

    key: Sql
    text: str = "{}"


def value_of(name: str) -> Value:
    """Return how to group by a field, or by a label when it is not a field. A list is its values joined by ", "."""
    target = targets(Text(name))[0]
    match target.kind:
        case "label":
            number = _number_text("numeric_labels[?]")
            return Value(Sql(f"coalesce(labels[?], {number})", (target.name, target.name)))
        case "list":
            return Value(Sql(f"array_to_string({column(target.name)}, ', ')"))
        case "date":
            below = "lpad((epoch_ns({0}) % 1000000000)::VARCHAR, 9, '0')"
            return Value(Sql(column(target.name)), f"strftime({{0}}, '%Y-%m-%dT%H:%M:%S.') || {below} || 'Z'")
        case "number":
            return Value(Sql(column(target.name)), _number_text("{}"))
        case "integer" | "boolean":
            return Value(Sql(column(target.name)), "{}::VARCHAR")
        case _:
            return Value(Sql(column(target.name)))


def number_of(name: str) -> Sql | None:
    """Return the expression for a field's value as a number, None if it is a field without numbers."""
    target = targets(Text(name))[0]
    if target.kind == "label":
        return Sql("numeric_labels[?]", (target.name,))
    return Sql(column(target.name)) if target.kind in ("integer", "number") else None


def column(name: str) -> str:
    """Return the quoted name of a column of ours; KeyError for any other name."""
    if name not in KIND_OF and name not in MAPS:
        raise KeyError(name)
    return f'"{name}"'


def _number_text(expression: str) -> str:
    """Whole numbers without their `.0`, as people wrote them."""
    return f"regexp_replace({expression}::VARCHAR, '\\.0$', '')"


class _Writer:
    def __init__(self) -> None:
        self.params: list[Any] = []

    def test(self, test: Test) -> str:
        match test:
            case Every(parts):
                return "(" + " AND ".join(map(self.test, parts)) + ")" if parts else "true"
            case Some(parts):
                found = alternatives(parts)
                return "(" + " OR ".join(map(self.alternative, found)) + ")" if found else "false"
            case Unless(part):
                return f"(NOT coalesce({self.test(part)}, false))"
            case Exists(target):
                return self.exists(target)
            case Compare(target, operator, value):
                if target.kind == "ip":
                    return self.address(target, operator, int(value))
                if target.kind == "date":
                    return self.on(target, f"{{}} {operator} make_timestamp_ns(?)", value)
                return self.on(target, f"{{}} {operator} ?", value)
            case Like(target, parts):
                return self.like(target, parts)
            case Within(target, low, high):
                return self.network(target, low, high)
            case Phrase(target, words):
                # contains() is several times quicker than the expression and turns most rows away.
                near = " AND ".join(map(_contains, words))
                return self.on(target, f"({near} AND regexp_matches(lower({{0}}), ?))", *words, _phrase(words))
            case WordLike(target, parts):
                return self.word_like(target, parts)

    def alternative(self, alternative: Alternative) -> str:
        match alternative:
            case OneOf(target, (value,)):
                return self.test(Compare(target, "=", value))
            case OneOf(target, values):
                texts = [address_text(int(value)) for value in values] if target.kind == "ip" else values
                return self.on(target, f"{{}} IN ({', '.join('?' * len(values))})", *texts)
            case ByValue(target, ((value, test),)):
                return self.test(Every((Compare(target, "=", value), test)))
            case ByValue(target, tests):
                cases = [f"WHEN {self.param(value)} THEN {self.test(test)}" for value, test in tests]
                return f"CASE {column(target.name)} {' '.join(cases)} ELSE false END"
            case _:
                return self.test(alternative)

    def address(self, target: Target, operator: str, number: int) -> str:
        if operator == "=":
            return self.on(target, "{} = ?", address_text(number))
        return self.on(target, _ADDRESS_KEY + f" {operator} ?", f"{number:032x}")

    def network(self, target: Target, low: int, high: int) -> str:
        first, last = (address_text(number).split(".") for number in (low, high))
        same = [one for one, other in zip(first, last, strict=False) if one == other] if len(first) == 4 else []
        if same and low % 256 ** (4 - len(same)) == 0 and high - low + 1 == 256 ** (4 - len(same)):
            return self.on(target, "starts_with({}, ?)", ".".join(same) + ("." if len(same) < 4 else ""))
        near = "starts_with({0}, ?) AND " if same else ""
        text = ".".join(same) + "."
        between = f"({near}{_ADDRESS_KEY} BETWEEN ? AND ?)"
        return self.on(target, between, *([text] if same else []), f"{low:032x}", f"{high:032x}")

    def word_like(self, target: Target, parts: tuple[str, ...]) -> str:
        near = max(parts, key=len)
        if WHOLE_WORD.fullmatch(near) and sum(map(bool, parts)) == 1:
            # What has no joint in it is part of some word wherever it stands; only its own ends matter.
            if not parts[0] and not parts[-1]:
                return self.on(target, _contains(near), near)
            pattern = _before(near) + _quoted(near) if parts[0] else _quoted(near) + _after(near)
            return self.on(target, f"({_contains(near)} AND regexp_matches(lower({{0}}), ?))", near, pattern)
        # All words of the text with a blank around each: blanks are never part of one.
        held = "' ' || array_to_string(regexp_extract_all(lower({0}), ?), ' ') || ' '"
        pattern = f" {'[^ ]*'.join(map(_quoted, parts))} "
        return self.on(target, f"({_contains(near)} AND regexp_matches({held}, ?))", near, _WORD, pattern)

    def exists(self, target: Target) -> str:
        if target.kind == "list":
            return f"len({column(target.name)}) > 0"
        if target.kind not in ("label", "number label"):
            return f"{column(target.name)} IS NOT NULL"
        map_name = "labels" if target.kind == "label" else "numeric_labels"
        if target.parts is None:
            return f"map_contains({map_name}, {self.param(target.name)})"
        fits = f"regexp_full_match(k, {self.param(_expression(target.parts))}, 's')"
        return f"len(list_filter(map_keys({map_name}), lambda k: {fits})) > 0"

    def like(self, target: Target, parts: tuple[str, ...]) -> str:
        text = "%".join(map(_like_quoted, parts))
        return self.on(target, "{} LIKE ?" + (r" ESCAPE '\'" if "\\" in text else ""), text)

    def on(self, target: Target, condition: str, *params: Any) -> str:
        """Write `condition` on the target's value, on each element of a list, or on each label that fits."""
        match target.kind:
            case "list":
                self.params += params
                return f"len(list_filter({column(target.name)}, lambda e: {condition.format('e')})) > 0"
            case "label" | "number label":
                map_name = "labels" if target.kind == "label" else "numeric_labels"
                if target.parts is None:
                    value = f"{map_name}[{self.param(target.name)}]"
                    self.params += params
                    return condition.format(value)
                fits = f"regexp_full_match(e.key, {self.param(_expression(target.parts))}, 's')"
                self.params += params
                return (
                    f"len(list_filter(map_entries({map_name}), lambda e: {fits} AND {condition.format('e.value')})) > 0"
                )
            case _:
                self.params += params
                return condition.format(column(target.name))

    def param(self, value: Any) -> str:
        self.params.append(value)
        return "?"


def _phrase(words: tuple[str, ...]) -> str:
    """The expression for these words one after the other; characters that join two words are not a gap between them."""
    pattern = _before(words[0]) + _quoted(words[0])
    for one, other in itertools.pairwise(words):
        (kind, joints), (other_kind, _) = _side(one[-1]), _side(other[0])
        joints = joints if kind == other_kind else ""
        pattern += f"(?:[^{_WORDS}]{{2,}}|[^{_WORDS}{joints}])" + _quoted(other)
    return pattern + _after(words[-1])


def _before(word: str) -> str:
    """The expression for where a word may begin."""
    kind, joints = _side(word[0])
    alone = f"|^[{joints}]|[^{kind}][{joints}]" if joints else ""
    return f"(?:^|[^{_WORDS}{joints}]{alone})"


def _after(word: str) -> str:
    """The expression for where a word may end."""
    kind, joints = _side(word[-1])
    alone = f"|[{joints}]$|[{joints}][^{kind}]" if joints else ""
    return f"(?:$|[^{_WORDS}{joints}]{alone})"


def _contains(small: str) -> str:
    """The condition that a text holds `small` in any case; lowercase is computed only where there are letters."""
    return "contains({0}, ?)" if small.upper() == small else "contains(lower({0}), ?)"


def _side(character: str) -> tuple[str, str]:
    """The class of a word's first or last character, and the joints that could join it to such another."""
    if character == "_":
        return "_", ""
    return (_DIGITS, DIGIT_JOINTS) if character.isdecimal() else (_LETTERS, LETTER_JOINTS)


def _quoted(text: str) -> str:
    """As an exact part of a regular expression of RE2."""
    return re.sub(r"([!-/:-@\[-^`{-~])", r"\\\1", text)


def _expression(parts: tuple[str, ...]) -> str:
    return ".*".join(map(_quoted, parts))


def _like_quoted(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)
