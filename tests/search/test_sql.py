"""SQL says what the predicate says, and holds nothing that a person typed."""

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logship.errors import KqlError
from logship.search import sql
from logship.search.kql import Is, Node, Pattern, Text, parse, text_of
from logship.search.matches import matches
from logship.search.times import from_rfc3339
from logship.store.schema import record, relation, select_row
from logship.store.write.normalizer import Normalizer
from tests.conftest import PROVE
from tests.search.questions import nodes, records
from tests.search.test_matches import HOLDS, HOLDS_NOT, NOW, RECORD


def answer(
    database: duckdb.DuckDBPyConnection, where: sql.Sql, directory: Path, held: list[dict[str, Any]]
) -> list[bool]:
    """Whether each record matches, by DuckDB on lines of the store."""
    log = directory / "log.ndjson"
    door = Normalizer()
    log.write_bytes(b"".join(door.line(at, from_rfc3339(one["@timestamp"]), one) for at, one in enumerate(held)))
    found = database.execute(
        f"SELECT _n FROM ({relation([], [log])}) WHERE {where.text}", list(where.params)
    ).fetchall()
    return [at in {number for (number,) in found} for at in range(len(held))]


@pytest.mark.parametrize("text", HOLDS + HOLDS_NOT)
def test_sql_agrees_with_every_example_of_the_predicate(
    text: str, tmp_path: Path, database: duckdb.DuckDBPyConnection
) -> None:
    for question in (text, f"not ({text})"):
        node = parse(question)
        assert answer(database, sql.where(node, NOW), tmp_path, [RECORD]) == [matches(node, RECORD, NOW)]


@settings(max_examples=150 if PROVE else 60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes, st.lists(records(), min_size=1, max_size=5))
def test_sql_and_predicate_agree_on_any_question_and_record(
    tmp_path: Path, database: duckdb.DuckDBPyConnection, node: Node, held: list[dict[str, Any]]
) -> None:
    try:
        where = sql.where(node, NOW)
    except KqlError as error:
        with pytest.raises(KqlError, match=re.escape(str(error))):
            matches(node, held[0], NOW)
    else:
        assert answer(database, where, tmp_path, held) == [matches(node, one, NOW) for one in held]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=20), st.sampled_from(("message", "url.path", "labels.x", "tags")), st.booleans())
def test_any_text_can_be_asked_for(
    tmp_path: Path, database: duckdb.DuckDBPyConnection, text: str, name: str, wild: bool
) -> None:
    node = parse(text_of(Is(Text(name), Pattern((text, "")) if wild else Text(text, quoted=True))))
    held = [RECORD, RECORD | {"labels": {"x": "a"}}]
    assert answer(database, sql.where(node, NOW), tmp_path, held) == [matches(node, one, NOW) for one in held]


@pytest.mark.parametrize(
    "hostile", ["x'; DROP TABLE logs; --", '") OR true --', "a\x00b", "%_\\", "$1 ? ?", "\\Q.*\\E"]
)
@pytest.mark.parametrize(
    "shape", ['"{0}"', 'message: "{0}"', 'labels.a: "{0}"', '"{0}": x', 'url.path >= "{0}"', 'tags: "{0}"']
)
def test_hostile_text_never_reaches_the_sql(
    hostile: str, shape: str, tmp_path: Path, database: duckdb.DuckDBPyConnection
) -> None:
    node = parse(shape.format(hostile.replace("\\", "\\\\").replace('"', '\\"')))
    where = sql.where(node, NOW)
    assert hostile not in where.text
    assert where.text.count("?") == len(where.params)
    assert answer(database, where, tmp_path, [RECORD]) == [matches(node, RECORD, NOW)]


@pytest.mark.parametrize("name", ['x"; DROP TABLE logs', "labels']", "no.field"])
def test_only_our_own_names_become_columns(name: str) -> None:
    with pytest.raises(KeyError):
        sql.column(name)
    assert name not in sql.value_of(name).key.text


def test_a_record_comes_back_as_it_was_stored(tmp_path: Path, database: duckdb.DuckDBPyConnection) -> None:
    log = tmp_path / "log.ndjson"
    log.write_bytes(Normalizer().line(1, from_rfc3339(RECORD["@timestamp"]), RECORD))
    rows = database.execute(f"SELECT {select_row()} FROM ({relation([], [log])})").fetchall()
    assert [record(row) for row in rows] == [RECORD]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("http.response.status_code", "500"),
        ("tags", "slow, cut"),
        ("@timestamp", "2026-11-20T10:00:00.500000000Z"),
        ("tenant", "acme"),
        ("order_id", "17"),
        ("ratio", "0.25"),
        ("logship.journal.durable", "true"),
        ("no_such_label", None),
    ],
)
def test_a_value_as_text_reads_as_people_write_it(
    name: str, value: str | None, tmp_path: Path, database: duckdb.DuckDBPyConnection
) -> None:
    log = tmp_path / "log.ndjson"
    log.write_bytes(Normalizer().line(1, from_rfc3339(RECORD["@timestamp"]), RECORD))
    asked = sql.value_of(name)
    keys = f"SELECT {asked.key.text} AS k FROM ({relation([], [log])})"
    told = database.execute(f"SELECT {asked.text.format('k')} FROM ({keys})", list(asked.key.params))
    assert told.fetchall() == [(value,)]


def test_numbers_are_asked_for_by_field_or_label() -> None:
    assert sql.number_of("message") is None
    assert sql.number_of("event.duration") == sql.Sql('"event.duration"')
    assert sql.number_of("order_id") == sql.Sql("numeric_labels[?]", ("order_id",))
    assert Text("order_id") == Text("order_id", at=5)
