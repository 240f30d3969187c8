"""What each expression means, case by case, in Python and in SQL."""

import duckdb
import pytest

from logship.errors import KqlError
from logship.search import sql
from logship.search.addresses import address_number, address_text, canonical
from logship.search.kql import parse
from logship.search.matches import matches
from logship.search.times import from_rfc3339
from logship.search.words import words
from logship.store.schema import relation
from logship.store.write.normalizer import Normalizer
from tests.search.cases import CASES, NOW, RECORDS, REFUSED, fitting


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> str:
    log = tmp_path_factory.mktemp("meaning") / "log.ndjson"
    door = Normalizer()
    lines = [door.line(n, from_rfc3339(one["@timestamp"]), one) for n, one in enumerate(RECORDS.values())]
    log.write_bytes(b"".join(lines))
    return relation([], [log])


def test_there_are_cases_enough() -> None:
    assert len(CASES) == len(set(CASES)) > 200


@pytest.mark.parametrize("case", CASES)
def test_an_expression_means_the_same_in_python_and_in_sql(
    case: str, rows: str, database: duckdb.DuckDBPyConnection
) -> None:
    letters, text = fitting(case)
    node = parse(text)
    where = sql.where(node, NOW)
    found = database.execute(f"SELECT _n FROM ({rows}) WHERE {where.text} ORDER BY 1", list(where.params)).fetchall()
    assert "".join(letter for letter, one in RECORDS.items() if matches(node, one, NOW)) == letters
    assert "".join("abcdef"[n] for (n,) in found) == letters


@pytest.mark.parametrize("text", REFUSED)
def test_what_a_field_cannot_hold_is_refused_at_its_character(text: str) -> None:
    at, sentence = REFUSED[text]
    for ask in (lambda: matches(parse(text), RECORDS["a"], NOW), lambda: sql.where(parse(text), NOW)):
        with pytest.raises(KqlError, match=sentence) as caught:
            ask()
        assert caught.value.at == at


def test_words_are_those_of_the_standard_analyser() -> None:
    assert words("24.3ms httpx.ConnectError a:b 1,000 customer_id can't x-y/z u@h k=v") == (
        "24.3ms", "httpx.connecterror", "a:b", "1,000", "customer_id", "can't", "x", "y", "z", "u", "h", "k", "v",
    )  # fmt: skip
    assert words("a.1 1.a a..b .a. _a.b_ 1;2 1:2 a,b") == (
        "a", "1", "1", "a", "a", "b", "a", "_a.b_", "1;2", "1", "2", "a", "b",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("2001:DB8:0::1", "2001:db8::1"), ("::", "::"),
        ("10.0.0.256", None), ("010.0.0.1", None), ("fe80::1%eth0", None), ("", None), ("x", None),
    ],
)  # fmt: skip
def test_an_address_has_one_form(text: str, shown: str | None) -> None:
    assert canonical(text) == shown
    if shown is not None:
        number = address_number(text)
        assert number is not None
        assert address_text(number) == shown
