"""The DSL says what the question means. A small Elasticsearch of our own, no more than what is sent, reads it back."""

import re
from typing import Any

import pytest
from hypothesis import given

from logship.errors import KqlError
from logship.search.addresses import address_number
from logship.search.dsl import ALL, NONE, dsl, whole
from logship.search.kql import Node, parse
from logship.search.matches import matches
from logship.search.query import Query
from logship.search.targets import KIND_OF
from logship.search.times import from_rfc3339
from logship.search.words import words
from tests.search.cases import CASES, NOW, RECORDS, REFUSED, fitting
from tests.search.questions import nodes, records

LABELS = sorted(
    {f"{name}.{key}" for one in RECORDS.values() for name in ("labels", "numeric_labels") for key in one.get(name, {})}
)


def holds(query: dict[str, Any], record: dict[str, Any]) -> bool:
    ((kind, body),) = query.items()
    match kind:
        case "match_all" | "match_none":
            return bool(kind == "match_all")
        case "bool":
            some = [holds(one, record) for one in body.get("should", [])]
            every = [holds(one, record) for one in body.get("filter", [])]
            none = [holds(one, record) for one in body.get("must_not", [])]
            return all(every) and not any(none) and sum(some) >= body.get("minimum_should_match", 0)
        case "exists":
            return bool(values(body["field"], record))
        case "query_string":
            (field,) = body["fields"]
            # It looks at terms: of one label they are its key, a NUL, its value.
            before = field.partition(".")[2] and field.partition(".")[2] + "\0"
            return any(glob(body["query"]).fullmatch(before + held) for held in values(field, record))
    ((field, told),) = body.items()
    held = values(field, record)
    match kind:
        case "term":
            wanted = comparable(field, told["value"])
            return any(comparable(field, one) == wanted for one in held)
        case "range":
            if field.startswith("labels"):
                assert len(told) == 2, "Elasticsearch refuses half a range over a flattened field"
            return any(
                within(comparable(field, one), {k: comparable(field, v) for k, v in told.items()}) for one in held
            )
        case "wildcard":
            like = glob(told["value"])
            found = [word for one in held for word in words(one)] if KIND_OF.get(field) == "text" else held
            return any(like.fullmatch(one) for one in found)
        case "prefix":
            return any(one.startswith(told["value"]) for one in held)
        case "match_phrase":
            wanted_words = words(told)
            return any(follow(wanted_words, words(one)) for one in held)
    raise AssertionError(kind)


def values(field: str, record: dict[str, Any]) -> list[Any]:
    for name in ("labels", "numeric_labels"):
        if field == name:
            return list(record.get(name, {}).values())
        if field.startswith(name + "."):
            key = field.removeprefix(name + ".")
            return [record[name][key]] if key in record.get(name, {}) else []
    held = record.get(field)
    return [] if held is None else held if isinstance(held, list) else [held]


def comparable(field: str, value: Any) -> Any:
    kind = KIND_OF.get(field)
    return from_rfc3339(value) if kind == "date" else address_number(value) if kind == "ip" else value


def within(value: Any, bounds: dict[str, Any]) -> bool:
    tests = {"gt": value.__gt__, "gte": value.__ge__, "lt": value.__lt__, "lte": value.__le__}
    return all(
        tests[name](bound) is True or (isinstance(bound, int | float) and compare(value, name, bound))
        for name, bound in bounds.items()
    )


def compare(value: Any, name: str, bound: Any) -> bool:
    return bool({"gt": value > bound, "gte": value >= bound, "lt": value < bound, "lte": value <= bound}[name])


def glob(text: str) -> re.Pattern[str]:
    """A pattern of Elasticsearch as an expression of Python."""
    out, at = "", 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
            out += re.escape(text[at])
        else:
            out += {"*": ".*", "?": "."}.get(text[at], re.escape(text[at]))
        at += 1
    return re.compile(out, re.DOTALL)


def follow(wanted: tuple[str, ...], held: tuple[str, ...]) -> bool:
    return any(held[at : at + len(wanted)] == wanted for at in range(len(held)))


@pytest.mark.parametrize("case", CASES)
def test_an_expression_means_the_same_to_elasticsearch(case: str) -> None:
    letters, text = fitting(case)
    query = dsl(parse(text), NOW, labels=LABELS)
    assert "".join(letter for letter, one in RECORDS.items() if holds(query, one)) == letters


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused_is_refused_before_elasticsearch_is_asked(text: str) -> None:
    with pytest.raises(KqlError):
        dsl(parse(text), NOW)


@given(node=nodes, record=records())
def test_random_questions_mean_the_same(node: Node, record: dict[str, Any]) -> None:
    labels = [f"{name}.{key}" for name in ("labels", "numeric_labels") for key in record.get(name, {})]
    try:
        expected = matches(node, record)
    except KqlError:
        return
    # In a query_string any one character stands for < and >; none of the words have one.
    assert holds(dsl(node, 0, labels=labels), record) == expected


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", ALL),
        ("*", ALL),
        ("ratio: a", {"term": {"labels.ratio": {"value": "a"}}}),
        ("log.level: error", {"term": {"log.level": {"value": "error"}}}),
        ("not log.level: error", {"bool": {"must_not": [{"term": {"log.level": {"value": "error"}}}]}}),
        ("event.duration > 5", {"range": {"event.duration": {"gt": 5}}}),
        ("message: \"a b\"", {"match_phrase": {"message": "a b"}}),
        ("url.path: /a?*", {"wildcard": {"url.path": {"value": "/a\\?*"}}}),
        ("labels.tenant: a\\:b*", {"prefix": {"labels.tenant": {"value": "a:b"}}}),
        ("labels.tenant: a\\:*b", {"query_string": {"fields": ["labels.tenant"], "query": "tenant\0a\\:*b"}}),
        ("event.duration <= 1e99", {"exists": {"field": "event.duration"}}),
        ("event.duration: 1e99", NONE),
        ("event.duration < -1e99", NONE),
        ("client.ip: 10.0.0.0/8", {"range": {"client.ip": {"gte": "10.0.0.0", "lte": "10.255.255.255"}}}),
        ("@timestamp >= 1960-01-01", {"exists": {"field": "@timestamp"}}),
        ("@timestamp < 1960-01-01", NONE),
        ("@timestamp > 2026-11-20", {"range": {"@timestamp": {"gt": "2026-11-20T23:59:59.999999999Z"}}}),
    ],
)  # fmt: skip
def test_what_is_sent(text: str, query: dict[str, Any]) -> None:
    assert dsl(parse(text), NOW) == query


def test_the_times_of_a_query_are_part_of_it() -> None:
    times = {"range": {"@timestamp": {"gte": "1970-01-01T00:00:00.000000000Z", "lt": "1970-01-01T00:00:01.000000000Z"}}}
    assert whole(Query(None, -5, 10**9), NOW) == times
    where = {"term": {"log.level": {"value": "info"}}}
    assert whole(Query(parse("log.level: info"), 0, 10**9), NOW) == {"bool": {"filter": [where, times]}}
    assert whole(Query(), NOW) == ALL
