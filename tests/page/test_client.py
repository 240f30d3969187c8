"""A collector over HTTP answers as the store behind it does."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logship.errors import KqlError, QuestionError, SourceError
from logship.forensics.error_groups import report as error_groups
from logship.forensics.patterns import report as patterns
from logship.page.client import HttpSource
from logship.page.context import PageContext
from logship.page.guard import Access
from logship.search.kql import parse
from logship.search.query import Page, Query
from tests.conftest import PROVE
from tests.page.conftest import Served

QUESTIONS = [
    "",
    "http.response.status_code >= 500",
    "message: (a or not b*)",
    'labels.a: "x y"',
    "not event.sequence < 3",
]


@settings(max_examples=25 if PROVE else 12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.sampled_from(QUESTIONS), since=st.none() | st.integers(0, 10), limit=st.integers(1, 7))
def test_every_question_has_the_answer_of_the_store(
    served: Served, far: HttpSource, text: str, since: int | None, limit: int
) -> None:
    near = served.reader
    query = Query(parse(text), None if since is None else served.now_ns - since * 10**9, served.now_ns + 10**9)
    try:
        expected = near.search(query, Page(limit))
    except KqlError as error:
        with pytest.raises(KqlError, match=error.expected[:20].replace("*", ".")):
            far.search(query, Page(limit))
        return
    assert far.search(query, Page(limit)) == expected
    assert far.search(query, Page(limit, newest_first=False)) == near.search(query, Page(limit, newest_first=False))
    assert far.count(query) == near.count(query)
    assert far.tally(query, "service.name", 10**9) == near.tally(query, "service.name", 10**9)
    by = ("service.name", "http.response.status_code")
    assert far.groups(query, by, 10**9) == near.groups(query, by, 10**9)
    assert far.top(query, "http.response.status_code", 3) == near.top(query, "http.response.status_code", 3)
    assert far.stats(query, "event.duration", None) == near.stats(query, "event.duration", None)
    assert far.incarnations(query) == near.incarnations(query)


def test_patterns_and_errors_are_those_of_the_store(served: Served, far: HttpSource) -> None:
    window = Query(None, served.now_ns - 10**13, served.now_ns + 10**9)
    assert patterns.report(far, window, None) == patterns.report(served.reader, window, None)
    assert error_groups.report(far, window) == error_groups.report(served.reader, window)


def test_single_events_fields_and_the_oldest_are_answered(served: Served, far: HttpSource) -> None:
    assert far.get("request-3").records == served.reader.get("request-3").records != []
    for absent in ("none", "a/b", "a/", "..", "a?b#c", "\N{TURTLE}"):
        assert far.get(absent).records == served.reader.get(absent).records == []
    assert far.fields() == served.reader.fields() != []
    assert far.oldest_ns() == served.reader.oldest_ns()
    key = far.tail(Query(), None).next
    assert key == served.reader.tail(Query(), None).next
    assert far.tail(Query(), key, 10) == served.reader.tail(Query(), key, 10)


def test_wrong_questions_raise_what_the_store_would_raise(far: HttpSource) -> None:
    with pytest.raises(QuestionError, match="statistics need a number field"):
        far.stats(Query(), "message", None)


def test_a_wrong_token_and_a_right_one(serve: object) -> None:
    served = serve(PageContext(access=Access(token="s3cret")))  # type: ignore[operator]
    with pytest.raises(SourceError, match="requires a token; set LOGSHIP_TOKEN"):
        HttpSource(served.url).count(Query())
    with pytest.raises(SourceError, match="rejects this token; set LOGSHIP_TOKEN"):
        HttpSource(served.url, "wrong").count(Query())
    assert HttpSource(served.url, "s3cret").count(Query()) == 5


def test_nobody_there_is_said_with_what_to_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(SourceError, match=f"no collector answers at http://127.0.0.1:{port} .*logship up"):
        HttpSource(f"127.0.0.1:{port}").count(Query())


class OtherVersion(BaseHTTPRequestHandler):
    """Answers every query as a collector of an earlier version answered /api/groups."""

    def do_GET(self) -> None:
        body = b'{"groups": [{"start_ns": 0, "keys": [], "events": 1}]}'
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def test_a_collector_of_another_version_is_named() -> None:
    with HTTPServer(("127.0.0.1", 0), OtherVersion) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source = HttpSource(f"127.0.0.1:{server.server_port}")
        with pytest.raises(SourceError, match="another version of logship than this command"):
            source.groups(Query(), ["service.name"])
        with pytest.raises(SourceError, match="use the same version on both sides"):
            source.count(Query())
        server.shutdown()


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:port", "http://x:99999"])
def test_what_is_no_url_is_said_so(url: str) -> None:
    with pytest.raises(QuestionError, match="is not the address of a collector"):
        HttpSource(url)


def test_a_proxy_of_the_environment_is_not_used(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert HttpSource(served.url).count(Query()) == 5
