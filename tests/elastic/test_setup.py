"""`logship setup elastic` against the real Elasticsearch, an older version of itself, and things that are none."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from logship.elastic import mapping, setup
from logship.elastic.client import connect
from logship.errors import ElasticError, SettingsError
from logship.settings import Settings, load
from tests.elastic import server
from tests.elastic.node import Server
from tests.proofs.scene import free_port

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = [pytest.mark.timeout(300), pytest.mark.alone]

AT = "2026-11-21T11:52:11.104177493Z"
COMPONENT = f"/_component_template/{mapping.MAPPINGS}"


def told(elastic: Server, namespace: str = "default") -> Settings:
    who = {"elastic_user": elastic.user, "elastic_password": elastic.password, "elastic_ca_file": elastic.ca_file}
    given = {"elastic_url": elastic.url, "elastic_namespace": namespace, **who}
    return load({name: value for name, value in given.items() if value}, {"HOME": "/home/ada"})


def planned(settings: Settings) -> setup.Plan:
    with connect(settings) as client:
        return setup.make_plan(client, settings)


def run(settings: Settings) -> list[str]:
    """Set up, and return what was done."""
    done: list[str] = []
    with connect(settings) as client:
        setup.apply(client, settings, setup.make_plan(client, settings), lambda step: done.append(step.path))
    return done


@pytest.fixture
def ours(elastic: Server) -> Iterator[Server]:
    """The server, with our templates again when the test is over."""
    yield elastic
    server.put_templates(elastic)


def test_doing_it_twice_is_doing_it_once(ours: Server, namespace: str) -> None:
    run(told(ours, namespace))
    plan = planned(told(ours, namespace))
    assert plan.changes == ()
    assert plan.stream == mapping.stream(namespace)
    assert plan.version.startswith(("8.19", "9."))
    assert run(told(ours, namespace)) == []


def test_nothing_is_done_without_a_yes(ours: Server, namespace: str) -> None:
    ours.must("PUT", COMPONENT, mapping.component({"mappings": {"properties": {}}}))
    shown: list[str] = []
    done: list[str] = []

    def answer(agreed: bool) -> bool:
        def agree(plan: setup.Plan) -> bool:
            shown.append(f"{plan.changes[0].change} {plan.changes[0].path}")
            return agreed

        return setup.setup(told(ours, namespace), agree, lambda step: done.append(step.path))

    assert not answer(agreed=False)
    assert done == []
    assert answer(agreed=True)
    assert done[0] == COMPONENT[1:]
    assert shown == [f"change {COMPONENT[1:]}"] * 2


def test_looking_changes_nothing(ours: Server) -> None:
    ours.must("PUT", COMPONENT, mapping.component({"mappings": {"properties": {}}}))
    before = ours.must("GET", COMPONENT)
    assert [step.path for step in planned(told(ours)).changes][:1] == [COMPONENT[1:]]
    assert ours.must("GET", COMPONENT) == before


def test_an_older_version_of_itself_is_brought_up_with_its_streams(ours: Server, namespace: str) -> None:
    old = mapping.mappings() | {"_meta": {"logship": {"version": 0}}}
    del old["properties"]["http"]
    ours.must("PUT", COMPONENT, {"_meta": {"logship": {"version": 0}}, "template": {"mappings": old}})
    stream = mapping.stream(namespace)
    ours.create(stream, [{"@timestamp": AT, "event.id": "a-1", "http.route": "/orders/{id}"}])
    plan = planned(told(ours, namespace))
    sentences = {step.path: (step.change, step.sentence) for step in plan.changes}
    assert sentences[COMPONENT[1:]] == ("change", f"from version 0 to {mapping.VERSION}")
    assert f"{stream}/_mapping" in sentences
    run(told(ours, namespace))
    ours.create(stream, [{"@timestamp": AT, "event.id": "a-2", "http.route": "/orders/{id}"}])
    assert ours.count(stream, {"term": {"http.route": "/orders/{id}"}}) == 1
    assert run(told(ours, namespace)) == []


def test_a_field_of_another_type_begins_a_new_index(ours: Server, namespace: str) -> None:
    old = mapping.mappings()
    old["properties"]["event"]["properties"]["duration"] = {"type": "keyword"}
    ours.must("PUT", COMPONENT, mapping.component({"mappings": old}))
    stream = mapping.stream(namespace)
    ours.create(stream, [{"@timestamp": AT, "event.id": "a-1", "event.duration": 5}])
    run(told(ours, namespace))
    ours.create(stream, [{"@timestamp": AT, "event.id": "a-2", "event.duration": 6}])
    assert len({hit["_index"] for hit in ours.hits(stream)}) == 2
    assert run(told(ours, namespace)) == []


def test_a_newer_version_is_left_alone(ours: Server) -> None:
    newer = mapping.component({"mappings": mapping.mappings()}) | {
        "_meta": {"logship": {"version": mapping.VERSION + 1}}
    }
    ours.must("PUT", COMPONENT, newer)
    with pytest.raises(ElasticError, match=r"was created by a newer logship \(version \d+, this one has \d+\): upgrade this one"):
        planned(told(ours))


def test_somebody_elses_template_under_our_name_is_not_overwritten(ours: Server) -> None:
    ours.must("PUT", COMPONENT, {"template": {"mappings": mapping.mappings()}})
    with pytest.raises(ElasticError, match="exists and was not created by logship: rename it"):
        planned(told(ours))


@pytest.mark.parametrize("priority", [mapping.PRIORITY, 500])
def test_a_foreign_template_that_wins_is_refused_by_name(ours: Server, namespace: str, priority: int) -> None:
    # With the same priority Elasticsearch refuses patterns that overlap: ours must be away while theirs is put.
    pattern = mapping.stream(namespace) + "*"
    foreign = {"index_patterns": [pattern], "priority": priority, "data_stream": {}}
    if priority == mapping.PRIORITY:
        foreign = foreign | {"priority": priority + 1}
    ours.must("PUT", f"/_index_template/foreign-{namespace}", foreign)
    try:
        with pytest.raises(ElasticError, match=f"index template 'foreign-{namespace}' .* also matches .* priority"):
            planned(told(ours, namespace))
        with (
            connect(told(ours, namespace)) as client,
            pytest.raises(ElasticError, match="would not get logship's mapping"),
        ):
            setup.check(client, told(ours, namespace))
        assert planned(told(ours, "other")).stream == mapping.stream("other")
    finally:
        ours.must("DELETE", f"/_index_template/foreign-{namespace}")


def test_custom_settings_are_welcome_and_a_custom_type_is_named(ours: Server) -> None:
    custom = f"/_component_template/{mapping.CUSTOM}"
    more = {"settings": {"index.refresh_interval": "30s"}, "mappings": {"properties": {"mine": {"type": "keyword"}}}}
    ours.must("PUT", custom, {"template": more})
    try:
        with connect(told(ours)) as client:
            setup.check(client, told(ours))
            duration = {"event": {"properties": {"duration": {"type": "keyword"}}}}
            ours.must("PUT", custom, {"template": {"mappings": {"properties": duration}}})
            with pytest.raises(ElasticError, match=r"logship@custom changes fields .*: event.duration"):
                setup.check(client, told(ours))
    finally:
        ours.must("PUT", custom, {"template": {}})


@contextmanager
def answering(status: int, body: bytes, kind: str, product: bool) -> Iterator[str]:
    """The URL of an HTTP server that answers everything alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            if product:
                self.send_header("x-elastic-product", "Elasticsearch")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>", "text/html"),
        (404, b"no", "text/plain"),
        (502, b"", "text/html"),
        (200, b"{}", "application/json"),
    ],
)
def test_what_is_not_elasticsearch_is_said_to_be_none(status: int, body: bytes, kind: str) -> None:
    with (
        answering(status, body, kind, product=False) as url,
        pytest.raises(ElasticError, match="is not Elasticsearch: check LOGSHIP_ELASTIC_URL"),
    ):
        planned(load({"elastic_url": url}, {"HOME": "/home/ada"}))


@pytest.mark.parametrize(
    ("version", "fine"), [("7.17.4", False), ("8.17.2", False), ("10.0.0", False), ("9.2.1-SNAPSHOT", True)]
)
def test_a_version_that_nobody_tried_is_refused(version: str, fine: bool) -> None:
    body = f'{{"nodes": {{"a": {{"version": "{version}"}}}}}}'.encode()
    kind = "application/vnd.elasticsearch+json"
    with answering(200, body, kind, product=True) as url:
        settings = load({"elastic_url": url}, {"HOME": "/home/ada"})
        with connect(settings) as client:
            if fine:
                assert setup.version_of(client, settings) == version
            else:
                with pytest.raises(ElasticError, match=f"is {version}; logship supports 8.19 to 9.x"):
                    setup.version_of(client, settings)


def test_nobody_there_is_a_sentence() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(
        ElasticError, match=f"cannot be reached at {url} .Connection refused., while reading its version"
    ):
        planned(load({"elastic_url": url}, {"HOME": "/home/ada"}))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"elastic_url": "localhost:9200"}, "elastic_url takes http://HOST:PORT"),
        ({"elastic_url": "http://h:1", "elastic_ca_file": "ca.pem"}, "is for https:// only"),
        ({"elastic_url": "https://h:1", "elastic_ca_file": "/nowhere/ca.pem"}, "does not exist"),
        ({"elastic_api_key": "k", "elastic_user": "u"}, "are both set"),
        ({"elastic_namespace": "Prod-1"}, "elastic_namespace must be lowercase"),
    ],
)
def test_settings_that_cannot_be_meant_are_named(given: dict[str, str], sentence: str) -> None:
    with answering(200, b'{"nodes": {"a": {"version": "8.19.1"}}}', "application/json", product=True) as url:
        settings = load({"elastic_url": url, **given}, {"HOME": "/home/ada"})
        with pytest.raises(SettingsError, match=sentence):
            planned(settings)
