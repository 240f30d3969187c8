"""KQL is read as Kibana reads it, and errors point at the character."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.errors import KqlError, QuestionError
from logship.search import kql
from logship.search.kql import And, Is, Node, Not, Or, Pattern, Range, Text, parse, text_of
from tests.search.questions import nodes


def word(text: str) -> Is:
    return Is(None, Text(text))


def field(name: str, value: str) -> Is:
    return Is(Text(name), Text(value))


A, B, C = field("a", "1"), field("b", "2"), field("c", "3")

READ: list[tuple[str, Node | None]] = [
    ("", None),
    (" \t\n\u00a0", None),
    ("a: 1", A),
    ("a:1", A),
    ("a :1", A),
    ("  a : 1  ", A),
    ('"a": 1', Is(Text("a", quoted=True), Text("1"))),
    ("a: 1 or b: 2", Or((A, B))),
    ("a: 1 OR b: 2 oR c: 3", Or((A, B, C))),
    ("a: 1 and b: 2", And((A, B))),
    ("a: 1 or b: 2 and c: 3", Or((A, And((B, C))))),
    ("a: 1 and b: 2 or c: 3", Or((And((A, B)), C))),
    ("(a: 1 or b: 2) and c: 3", And((Or((A, B)), C))),
    ("not a: 1", Not(A)),
    ("NOT a: 1 and b: 2", And((Not(A), B))),
    ("not (a: 1 and b: 2)", Not(And((A, B)))),
    ("not (a: 1)", Not(A)),
    ("((a: 1))", A),
    ("( a: 1 )", A),
    ("a: (1 or 2)", Or((A, field("a", "2")))),
    ("a: (1 and 2)", And((A, field("a", "2")))),
    ("a: (not 1)", Not(A)),
    ("a: (1 or not 2)", Or((A, Not(field("a", "2"))))),
    ("a: (1 or (2 and not 3))", Or((A, And((field("a", "2"), Not(field("a", "3"))))))),
    ("a: ((1))", A),
    ("a >= 1", Range(Text("a"), ">=", Text("1"))),
    ("a<=1", Range(Text("a"), "<=", Text("1"))),
    ("a < 1", Range(Text("a"), "<", Text("1"))),
    ('a > "x y"', Range(Text("a"), ">", Text("x y", quoted=True))),
    ("@timestamp >= now-15m/m", Range(Text("@timestamp"), ">=", Text("now-15m/m"))),
    ("foo", word("foo")),
    ("foo bar", word("foo bar")),
    ("foo and bar", And((word("foo"), word("bar")))),
    ('"foo and bar"', Is(None, Text("foo and bar", quoted=True))),
    ("message: foo bar", field("message", "foo bar")),
    ("message: foo bar and a: 1", And((field("message", "foo bar"), A))),
    ("and", word("and")),
    ("or b", word("or b")),
    ("not", word("not")),
    ("a: b and", field("a", "b and")),
    ("a: android", field("a", "android")),
    ("a: x orange", field("a", "x orange")),
    ("a: nothing", field("a", "nothing")),
    ("a: true", field("a", "true")),
    ("a: null", field("a", "null")),
    ("a: *", Is(Text("a"), Pattern(("", "")))),
    ("a: b*", Is(Text("a"), Pattern(("b", "")))),
    ("a: *b*c", Is(Text("a"), Pattern(("", "b", "c")))),
    ("*: *", Is(Pattern(("", "")), Pattern(("", "")))),
    ("*:*", Is(Pattern(("", "")), Pattern(("", "")))),
    ("http.*: 1", Is(Pattern(("http.", "")), Text("1"))),
    ('a: "b*"', Is(Text("a"), Text("b*", quoted=True))),
    ('a: ""', Is(Text("a"), Text("", quoted=True))),
    (r"a: b\*", field("a", "b*")),
    (r"a: \(b\)", field("a", "(b)")),
    (r"a: \{b\}", field("a", "{b}")),
    (r"a: b\:c", field("a", "b:c")),
    (r"a: b\"c", field("a", 'b"c')),
    (r"a: b\\c", field("a", "b\\c")),
    (r"a: b\tc", field("a", "b\tc")),
    (r"a: \u0041", field("a", "A")),
    (r"a: \ud83d\ude00", field("a", "\U0001f600")),
    (r"a: b \and c", field("a", "b and c")),
    (r"a: b \OR c", field("a", "b OR c")),
    (r"\NOT a", word("NOT a")),
    (r"a: \not b", field("a", "ot b")),  # as in Kibana: a line feed, which is trimmed
    (r'a: "b\"c"', Is(Text("a"), Text('b"c', quoted=True))),
    (r'a: "b\\c"', Is(Text("a"), Text("b\\c", quoted=True))),
    (r'a: "b\n\u0041"', Is(Text("a"), Text("b\nA", quoted=True))),
    (r'a: "b\d"', Is(Text("a"), Text("b\\d", quoted=True))),
    ("a: ä-ö_ü.ß/€", field("a", "ä-ö_ü.ß/€")),
    ("url.path: /api/v1/orders/*", Is(Text("url.path"), Pattern(("/api/v1/orders/", "")))),
    (r"http.route: /orders/\{id\}", field("http.route", "/orders/{id}")),
    ("a: 1 and not b: 2", And((A, Not(B)))),
    ("a: 1\nand\tb: 2", And((A, B))),
    ("a: 1; drop table logs", field("a", "1; drop table logs")),
    (r"a: ' \or 1=1 --", field("a", "' or 1=1 --")),
]

REFUSED = [
    ("a: b c: d", 6, '"and", "or" or the end'),
    ("a:", 2, "a value"),
    ("a: ", 3, "a value"),
    (": b", 0, "a field"),
    ("(a: 1", 5, 'expected ")"'),
    ("a: 1)", 4, "the end"),
    ("()", 1, "a field"),
    ("a: (1 or )", 9, "a value"),
    ("a: ()", 4, "a value"),
    ("a: 1 and ", 9, "a field"),
    ("not not a: 1", 4, "quote"),
    ("a: not b", 3, "quote"),
    ("message: cannot do", 12, "quote"),
    ('a: "b', 3, "missing closing"),
    ('"a', 0, "missing closing"),
    ("a > ", 4, "a value"),
    ("a > b*", 4, "without *"),
    ("a >= (1)", 5, "a value"),
    ("a: {b: 1}", 3, "nested"),
    ("a: b\\", 4, '"and"'),
    ("a: b\\q", 4, '"and"'),
    ("a: \\", 3, "a value"),
    ("}", 0, "a field"),
    ("a: <b", 3, "a value"),
]


@pytest.mark.parametrize(("text", "tree"), READ)
def test_a_question_is_read(text: str, tree: Node | None) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(("text", "at", "expected"), REFUSED)
def test_an_error_points_at_the_character_and_says_what_was_expected(text: str, at: int, expected: str) -> None:
    with pytest.raises(KqlError) as caught:
        parse(text)
    assert caught.value.at == at
    assert expected in caught.value.expected
    assert f"character {at + 1} of" in str(caught.value)
    assert isinstance(caught.value, QuestionError)


@pytest.mark.parametrize(
    "text",
    ["(" * 60 + "a" + ")" * 60, "a: " + "(" * 60 + "b" + ")" * 60, "a" * 30_000, " or ".join(["a: 1"] * 1001)],
)
def test_size_and_depth_have_limits(text: str) -> None:
    with pytest.raises(KqlError, match=r"limit|more than"):
        parse(text)


def test_the_limits_leave_room_for_long_lists_of_ids() -> None:
    node = parse("event.id: (" + " or ".join(f"id{number}" for number in range(900)) + ")")
    assert isinstance(node, Or)
    assert len(node.parts) == 900


@given(nodes)
def test_a_tree_written_as_text_is_read_as_the_same_tree(node: Node) -> None:
    assert parse(text_of(node)) == node


@given(st.one_of(st.text(max_size=40), st.text(alphabet='aborndt() :<>="*{}\\u0\t', max_size=30)))
def test_any_text_is_a_question_or_an_error_with_a_place(text: str) -> None:
    try:
        node = parse(text)
    except KqlError as error:
        at = error.at
    else:
        at = 0
        assert parse(text_of(node)) == node
    assert 0 <= at <= len(text)


def test_questions_are_joined_with_and() -> None:
    assert kql.every(None, None) is None
    assert kql.every(A, None) == A
    assert kql.every(A, B) == And((A, B))
    assert kql.equal("logship.worker.slot", 3) == Is(Text("logship.worker.slot"), Text("3", quoted=True))
