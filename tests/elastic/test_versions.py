"""The newest Elasticsearch beside the one that all other tests run on: set-up, storing once, searching, doctor. With
LOGSHIP_TEST_ES_VERSION every other test runs on it as well."""

from collections.abc import Iterator

import pytest

from logship.doctor.elasticsearch import follow
from logship.elastic import mapping, setup
from logship.elastic.client import connect
from logship.elastic.source import ElasticSource
from logship.search.kql import parse
from logship.search.query import Page, Query
from logship.search.times import from_rfc3339, rfc3339
from logship.settings import Settings, load
from tests import needs
from tests.elastic import server
from tests.elastic.node import VERSIONS, Node, NotHere

# It is fetched and started for this module, beside other tests on the same cores.
pytestmark = pytest.mark.timeout(600)

AT = "2026-11-21T11:52:11.104177493Z"
EVENTS = [
    {"@timestamp": AT, "event.id": f"a-{number}", "event.sequence": number, "http.request.id": f"r-{number % 3}",
     "event.duration": 9007199254740993, "numeric_labels": {"order": number}, "labels": {"tenant": "a"}}
    for number in range(1, 8)
]  # fmt: skip


@pytest.fixture(scope="module")
def newest() -> Iterator[Node]:
    try:
        node = Node(version=VERSIONS[-1])
    except NotHere as why:
        needs.lacks("elasticsearch-9", str(why))
    with node:
        yield node


def told(node: Node, namespace: str) -> Settings:
    return load({"elastic_url": node.url, "elastic_namespace": namespace}, {"HOME": "/home/ada"})


@pytest.mark.prove
def test_set_up_twice_stored_once_and_found(newest: Node) -> None:
    namespace = server.new_namespace()
    settings, stream = told(newest, namespace), mapping.stream(namespace)
    with connect(settings) as client:
        plan = setup.make_plan(client, settings)
        assert plan.version == VERSIONS[-1]
        setup.apply(client, settings, plan)
        assert [item["status"] for item in newest.create(stream, EVENTS)] == [201] * len(EVENTS)
        assert setup.make_plan(client, settings).changes == ()
    assert [item["status"] for item in newest.create(stream, EVENTS)] == [409] * len(EVENTS)
    (index,) = newest.must("GET", f"/{stream}/_settings").values()
    assert index["settings"]["index"]["mode"] == "standard"
    assert {hit["_id"]: hit["_source"] for hit in newest.hits(stream)} == {one["event.id"]: one for one in EVENTS}
    source = ElasticSource(settings)
    try:
        assert source.count(Query(parse("numeric_labels.order >= 5"))) == 3
        assert [(one.value, one.events) for one in source.top(Query(), "http.request.id", 5)] == [
            ("r-1", 3), ("r-0", 2), ("r-2", 2)
        ]  # fmt: skip
        rows = source.search(Query(parse("labels.tenant: a")), Page(3, newest_first=False)).records
        assert [row["event.id"] for row in rows] == ["a-1", "a-2", "a-3"]
        assert rows[0]["event.duration"] == 9007199254740993
        assert source.oldest_ns() == from_rfc3339(AT)
    finally:
        source.close()


@pytest.mark.prove
def test_doctor_finds_its_event(newest: Node) -> None:
    settings = told(newest, server.new_namespace())

    def put(ns: int, event: dict[str, object]) -> None:
        newest.create(mapping.stream(settings.elastic_namespace), [event | {"@timestamp": rfc3339(ns)}])

    with connect(settings) as client:
        setup.apply(client, settings, setup.make_plan(client, settings))
    assert {one.mark for one in follow(settings, put)} == {"good"}
