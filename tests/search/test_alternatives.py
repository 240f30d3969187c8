"""Alternatives about one field are collected, and SQL that is made of them finds the same records."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logship.search import sql
from logship.search.alternatives import ByValue, OneOf, alternatives
from logship.search.kql import And, Is, Node, Or, Range, Text, parse
from logship.search.matches import matches
from logship.search.meaning import meaning
from logship.search.predicate import Some
from tests.search.questions import WORDS, records
from tests.search.test_matches import NOW
from tests.search.test_sql import answer

keys = st.sampled_from(("url.path", "http.request.method", "labels.tenant", "client.ip"))
equals = st.one_of(
    st.builds(lambda name, value: Is(Text(name), Text(value, quoted=True)), keys.filter(lambda name: name != "client.ip"),
              st.sampled_from(WORDS)),
    st.sampled_from(("10.0.0.1", "10.0.1.0", "::1")).map(lambda value: Is(Text("client.ip"), Text(value))),
)  # fmt: skip
limits = st.builds(
    lambda operator, value: Range(Text("http.response.status_code"), operator, Text(value)),
    st.sampled_from((">", "<=")), st.sampled_from(("3", "200", "499")),
)  # fmt: skip
both = [st.builds(lambda *two: And(two), first, second) for first, second in ((equals, limits), (limits, equals))]
parts = st.one_of(equals, limits, *both)


def collected(text: str) -> list[object]:
    test = meaning(parse(text), NOW)
    assert isinstance(test, Some)
    return [*alternatives(test.parts)]


def test_values_of_one_field_are_compared_once() -> None:
    for text in ("url.path: (a or b or a)", 'url.path: a or (url.path: b or url.path: "a")'):
        (only,) = collected(text)
        assert isinstance(only, OneOf)
        assert (only.target.name, only.values) == ("url.path", ("a", "b"))
    where = sql.where(parse("labels.tenant: (a or b or c)"), NOW)
    assert where.text.count("labels[") == 1
    assert where.params == ("tenant", "a", "b", "c")


def test_each_value_has_its_own_test() -> None:
    (only,) = collected("(url.path: a and event.duration > 5) or (event.duration > 7 and url.path: b)")
    assert isinstance(only, ByValue)
    assert [value for value, _ in only.tests] == ["a", "b"]
    where = sql.where(parse("(url.path: a and event.duration > 5) or (event.duration > 7 and url.path: b)"), NOW)
    assert where.text.count('"url.path"') == 1


@pytest.mark.parametrize("text", ["tags: (a or b)", "message: (a or b)", "event.duration: (1 or 2)", "labels.*: (a or b)"])
def test_other_kinds_of_fields_are_left_as_they_are(text: str) -> None:
    assert not any(isinstance(each, OneOf) for each in collected(text))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(parts, min_size=2, max_size=8), st.lists(records(), min_size=1, max_size=6))
def test_the_same_records_are_found(
    tmp_path: Path, database: duckdb.DuckDBPyConnection, some: list[Node], held: list[dict[str, Any]]
) -> None:
    node = Or(tuple(some))
    assert answer(database, sql.where(node, NOW), tmp_path, held) == [matches(node, one, NOW) for one in held]
