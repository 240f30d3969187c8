"""KQL on the real Elasticsearch: each example, and random questions over random records, mean what the predicate says."""

import contextlib
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from logship.elastic import mapping
from logship.elastic.source import ElasticSource
from logship.errors import KqlError
from logship.search.kql import Node, parse, text_of
from logship.search.matches import matches
from logship.search.query import Page, Query, Record
from tests.conftest import PROVE
from tests.elastic import server
from tests.elastic.node import Server
from tests.elastic.test_setup import told
from tests.search.cases import CASES, NOW, RECORDS, REFUSED, fitting
from tests.search.questions import nodes, records

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(600 if PROVE else 300)


def numbered(held: Sequence[Record]) -> list[Record]:
    """These records as events 0, 1, 2 ..."""
    return [one | {"event.id": f"e-{at}"} for at, one in enumerate(held)]


def stored(elastic: Server, events: Sequence[Record]) -> ElasticSource:
    """A source with these events and no others."""
    namespace = server.new_namespace()
    assert {item["status"] for item in elastic.create(mapping.stream(namespace), events)} == {201}
    return ElasticSource(told(elastic, namespace), clock_ns=lambda: NOW)


def found(source: ElasticSource, node: Node | None) -> set[int] | str:
    """Which of them match; the sentence when the question makes no sense."""
    try:
        rows = source.search(Query(node), Page(1000, columns=("event.id",))).records
    except KqlError as error:
        return str(error)
    return {int(one["event.id"].removeprefix("e-")) for one in rows}


def meant(node: Node | None, held: Sequence[Record]) -> set[int] | str:
    """The same, by the predicate."""
    try:
        return {at for at, one in enumerate(held) if matches(node, one, NOW)}
    except KqlError as error:
        return str(error)


def test_every_expression_finds_the_records_that_it_finds_elsewhere(elastic: Server) -> None:
    letters = list(RECORDS)
    held = numbered(list(RECORDS.values()))
    source = stored(elastic, held)
    wrong = []
    for case in CASES:
        fit, text = fitting(case)
        for question, expected in ((text, set(fit)), (f"not ({text})", set(letters) - set(fit))):
            theirs = found(source, parse(question))
            told = {letters[at] for at in theirs} if isinstance(theirs, set) else theirs
            wrong += [] if told == expected else [(question, told, expected)]
    source.close()
    assert wrong == []


def test_what_makes_no_sense_is_refused_before_elasticsearch_is_asked(elastic: Server) -> None:
    source = stored(elastic, numbered(list(RECORDS.values())))
    answered = []
    for text in REFUSED:
        with contextlib.suppress(KqlError):  # what is no KQL at all
            answered += [text] if isinstance(found(source, parse(text)), set) else []
    source.close()
    assert answered == []


@settings(
    max_examples=8 if PROVE else 1,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),
)
@given(st.lists(records(), min_size=40, max_size=40), st.lists(nodes, min_size=40, max_size=40))
def test_random_questions_over_random_records(elastic: Server, held: list[Record], asked: list[Node]) -> None:
    held = numbered(held)
    source = stored(elastic, held)
    wrong = []
    for node in asked:
        ours, theirs = meant(node, held), found(source, node)
        wrong += [] if theirs == ours else [(text_of(node), theirs, ours)]
    source.close()
    assert wrong == []
