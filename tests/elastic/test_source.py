"""The same questions to the embedded store and to the real Elasticsearch, over the same events: the same answers."""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logship.elastic import mapping
from logship.elastic.client import connect
from logship.elastic.replay import from_source, replay
from logship.elastic.source import ElasticSource, as_record
from logship.errors import ElasticError, QuestionError
from logship.forensics.error_groups import report as error_groups
from logship.forensics.patterns import report as patterns
from logship.forensics.verify import verify
from logship.search.kql import Node, parse
from logship.search.query import CLOCK_AHEAD_NS, Page, Query, Record, Source
from logship.search.times import rfc3339
from logship.settings import load
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.conftest import PROVE
from tests.elastic import server
from tests.elastic.node import Server
from tests.elastic.test_setup import told
from tests.proofs.scene import free_port
from tests.search import questions
from tests.store.events import BEGIN_NS

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(600)

EVENTS = 3000
STEP_NS = 7_777_777
QUESTIONS = 300 if PROVE else 40
LIVES = ["1" * 24, "2" * 24, "3" * 24]
NOW_NS = BEGIN_NS + EVENTS * STEP_NS


@dataclass
class Both:
    """The two stores with the same events."""

    store: Reader
    elastic: ElasticSource

    def agree(self, question: str, *arguments: Any) -> Any:
        """Ask both, and return what they agree on; an error counts as an answer."""
        ours, theirs = (ask(source, question, *arguments) for source in (self.store, self.elastic))
        assert theirs == ours, f"{question}{arguments}"
        return ours


def ask(source: Source, question: str, *arguments: Any) -> Any:
    try:
        return getattr(source, question)(*arguments)
    except QuestionError as error:
        return str(error)


def events() -> Iterator[tuple[int, dict[str, Any]]]:
    """Requests, log lines and beats of three lives, with the words of the questions in them; the second has gaps."""
    chance = random.Random(5)
    for number in range(EVENTS):
        life = LIVES[number % 3]
        sequence = number // 3 + 1
        if life == LIVES[1] and sequence in (7, 8, 500):
            continue
        record: dict[str, Any] = {
            "event.id": f"{life}-{sequence:012d}",
            "event.sequence": sequence,
            "service.ephemeral_id": life,
            "service.name": "shop",
            "service.node.name": f"h/8000/w{number % 3}",
            "process.pid": 100 + number % 3,
            "logship.worker.slot": number % 3,
            "logship.worker.generation": 1,
            "event.dataset": chance.choice(("logship.request", "logship.app")),
            "event.duration": chance.randrange(10**6, 10**9),
            "http.response.status_code": chance.choice((200, 200, 404, 500, 499)),
            "http.request.id": f"r{number // 4:06d}",
            "message": " ".join(chance.sample([word for word in questions.WORDS if word.strip()], 2)),
            "http.request.method": chance.choice(("get", "GET", "order")),
            "url.path": chance.choice([word for word in questions.WORDS if word]),
            "logship.journal.durable": number % 2 == 0,
        }
        if chance.random() < 0.5:
            record["client.ip"] = chance.choice(questions.ADDRESSES)
        if chance.random() < 0.3:
            record["tags"] = [chance.choice(("slow", "cut"))]
        if chance.random() < 0.5:
            record["labels"] = {
                "tenant": chance.choice(("a", "b", "äö")),
                "order.id": chance.choice(("x", "slow path")),
            }
        if chance.random() < 0.5:
            record["numeric_labels"] = {"x_y": float(chance.choice((0, 3, 200, 1.5)))}
        if number % 100 < 3:
            record |= {
                "event.action": "worker-heartbeat",
                "logship.emitted": sequence,
                "event.dataset": "logship.worker",
            }
        yield BEGIN_NS + number * STEP_NS, record


@pytest.fixture(scope="module")
def both(elastic: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Both stores; Elasticsearch is filled by replay."""
    where = tmp_path_factory.mktemp("both") / "store"
    store = Store(where)
    store.append(list(events()))
    store.close()
    chosen = told(elastic, server.new_namespace())
    reader = Reader(where, clock_ns=lambda: NOW_NS)
    with connect(chosen) as client:
        created = sum(done.created for done in replay(client, chosen, from_source(reader, Query()), where / "dead"))
    assert created == EVENTS - 3
    assert elastic.count(mapping.stream(chosen.elastic_namespace)) == created
    source = ElasticSource(chosen, clock_ns=lambda: NOW_NS)
    yield Both(reader, source)
    reader.close()
    source.close()


spans = st.one_of(st.none(), st.integers(0, EVENTS).map(lambda number: BEGIN_NS + number * STEP_NS))


@settings(max_examples=QUESTIONS, suppress_health_check=list(HealthCheck), deadline=None)
@given(where=st.one_of(st.none(), questions.nodes), since_ns=spans, until_ns=spans)
def test_random_questions_count_the_same(
    both: Both, where: Node | None, since_ns: int | None, until_ns: int | None
) -> None:
    both.agree("count", Query(where, since_ns, until_ns))


@settings(max_examples=QUESTIONS // 3, suppress_health_check=list(HealthCheck), deadline=None)
@given(where=st.one_of(st.none(), questions.nodes), newest=st.booleans(), limit=st.integers(1, 40))
def test_pages_hold_the_same_records_in_the_same_order(
    both: Both, where: Node | None, newest: bool, limit: int
) -> None:
    pages: list[list[list[Record]]] = []
    for source in (both.store, both.elastic):
        found: list[list[Record]] = []
        after: str | None = None
        try:
            for _ in range(4):
                rows = source.search(Query(where), Page(limit, newest, after))
                found.append(rows.records)
                after = rows.next
                if after is None:
                    break
        except QuestionError as error:
            found = [[{"error": str(error)}]]
        pages.append(found)
    assert pages[0] == pages[1]


FIELDS = [
    "http.response.status_code", "logship.worker.slot", "http.request.method", "url.path", "client.ip", "tags", "tenant",
    "labels.order.id", "x_y", "logship.journal.durable", "service.node.name", "event.action", "http.request.id",
    "httpstatus", "http.rout",
]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_tallies_and_tops_are_the_same(both: Both, field: str) -> None:
    for query in (Query(), Query(parse("http.response.status_code >= 400"))):
        both.agree("tally", query, field, 10**9)
        both.agree("tally", query, field, None, "logship.worker.slot")
        both.agree("groups", query, (field, "http.route", "logship.worker.slot"), 10**9)
        both.agree("top", query, field, 5)


@pytest.mark.parametrize("every_ns", [None, 10**9, 7 * 10**9])
@pytest.mark.parametrize("by", [None, "logship.worker.slot", "tenant", "http.response.status_code"])
@pytest.mark.parametrize("number", ["event.duration", "x_y"])
def test_statistics_are_the_same(both: Both, number: str, by: str | None, every_ns: int | None) -> None:
    ours, theirs = (source.stats(Query(), number, by, every_ns) for source in (both.store, both.elastic))
    assert [(one.start_ns, one.key, one.count, one.min, one.max) for one in theirs] == [
        (one.start_ns, one.key, one.count, one.min, one.max) for one in ours
    ]
    for mine, its in zip(ours, theirs, strict=True):
        for name in ("sum", "p50", "p95", "p99"):
            assert math.isclose(getattr(mine, name), getattr(its, name), rel_tol=1e-9), (name, mine, its)


def test_lives_are_the_same_with_their_gaps(both: Both) -> None:
    lives = both.agree("incarnations", Query())
    assert [life.stored for life in lives][1] == ((1, 6), (9, 499), (501, 1000))
    both.agree("incarnations", Query(parse("logship.worker.slot: 1")))


def test_verify_finds_the_same_gaps(both: Both) -> None:
    ours, theirs = (verify(source, Query(), NOW_NS) for source in (both.store, both.elastic))
    assert theirs == ours
    assert {one.slot: one.missing for one in ours}[1] == 3


def test_patterns_and_errors_are_the_same(both: Both) -> None:
    window = Query(None, NOW_NS - 10**16, NOW_NS + 10**12)
    ours, theirs = (patterns.report(source, window, None) for source in (both.store, both.elastic))
    assert theirs == ours
    assert ours.events > 0
    assert error_groups.report(both.elastic, window) == error_groups.report(both.store, window)


def test_the_rest_is_the_same(both: Both) -> None:
    both.agree("fields")
    both.agree("oldest_ns")
    for name in (f"{LIVES[0]}-000000000004", "r000010", "nobody"):
        both.agree("get", name)
        both.agree("context", name, 3, 2)
        both.agree("context", name, 2, 2, True)
    for page in (
        Page(20, greatest="event.duration"),
        Page(5, columns=("http.route", "tenant")),
        Page(5, columns=("url.path", "message")),
        Page(0),
        Page(5, greatest="message"),
    ):
        ours, theirs = (ask(source, "search", Query(), page) for source in (both.store, both.elastic))
        assert getattr(theirs, "records", theirs) == getattr(ours, "records", ours)


def test_a_tail_sees_each_event_once(elastic: Server, namespace: str) -> None:
    chosen, stream = told(elastic, namespace), mapping.stream(namespace)
    source = ElasticSource(chosen)
    nothing = source.tail(Query(), None)
    assert nothing.records == []
    at = "2026-11-21T11:52:11.104177493Z"
    seen: list[str] = []
    key = nothing.next
    for number in range(5):
        some: list[Mapping[str, object]] = [
            {"@timestamp": at, "event.id": f"a-{number}-{one}", "message": "m"} for one in range(10)
        ]
        elastic.create(stream, some)
        if number == 2:
            elastic.must("POST", f"/{stream}/_rollover")
        while True:
            rows = source.tail(Query(parse("message: m")), key, 4)
            seen += [record["event.id"] for record in rows.records]
            key = rows.next
            if not rows.records:
                break
    assert seen == [f"a-{number}-{one}" for number in range(5) for one in range(10)]
    assert source.tail(Query(), None).records == []
    with pytest.raises(QuestionError, match="invalid tail key"):
        source.tail(Query(), "nonsense")
    source.close()


def test_a_stream_that_is_not_there_yet_has_no_events(elastic: Server, namespace: str) -> None:
    source = ElasticSource(told(elastic, namespace))
    assert (source.count(Query()), source.oldest_ns(), source.fields(), source.incarnations(Query())) == (
        0,
        None,
        [],
        [],
    )
    assert (source.tally(Query(), "url.path", 10**9), source.stats(Query(), "event.duration", None)) == ([], [])
    assert source.search(Query(), Page()).records == []
    source.close()


def test_what_cannot_be_asked_is_said(both: Both) -> None:
    with pytest.raises(QuestionError, match="cannot group by message: its values are texts"):
        both.elastic.tally(Query(), "message", None)
    with pytest.raises(QuestionError, match="invalid bucket width 1500000 ns: Elasticsearch needs whole milliseconds"):
        both.elastic.tally(Query(), None, 1_500_000)
    with pytest.raises(QuestionError, match="invalid page key"):
        both.elastic.search(Query(), Page(after="x"))
    away = ElasticSource(load({"elastic_url": f"http://127.0.0.1:{free_port()}"}, {"HOME": "/home/ada"}))
    with pytest.raises(
        ElasticError, match=r"cannot be reached at .* \(Connection refused\), while searching logs-logship"
    ):
        away.count(Query())
    away.close()


def test_a_window_without_an_end_ends_now_as_in_the_embedded_store(monkeypatch: pytest.MonkeyPatch) -> None:
    source = ElasticSource(load({}, {"HOME": "/home/ada"}), clock_ns=lambda: NOW_NS)
    bodies: list[dict[str, Any]] = []

    def search(**request: Any) -> Any:
        bodies.append(request["body"])
        return SimpleNamespace(body={"hits": {"hits": [], "total": {"value": 0}}})

    monkeypatch.setattr(source._client, "search", search)
    source.count(Query(since_ns=NOW_NS - 1))
    source.count(Query(since_ns=NOW_NS + 1))
    assert [body["query"]["range"]["@timestamp"] for body in bodies] == [
        {"gte": rfc3339(NOW_NS - 1), "lt": rfc3339(NOW_NS + CLOCK_AHEAD_NS)},
        {"gte": rfc3339(NOW_NS + 1)},
    ]
    source.close()


def test_documents_of_other_senders_become_records() -> None:
    document: dict[str, object] = {
        "@timestamp": "2026-11-21T11:52:11.104Z",
        "service": {"name": "shop", "node": {"name": "w0"}},
        "event.category": "web",
        "event.start": "yesterday",
        "labels": {"a": True, "b": 1, "c": None},
        "numeric_labels": {"n": 3},
        "tags": [],
        "url.path": None,
    }
    assert as_record(document) == {
        "@timestamp": "2026-11-21T11:52:11.104000000Z",
        "service.name": "shop",
        "service.node.name": "w0",
        "event.category": ["web"],
        "labels": {"a": "true", "b": "1"},
        "numeric_labels": {"n": 3.0},
    }
