"""Whatever is asked: an answer of the documented shape or a sentence, never a 500, a file, or SQL of the asker's."""

import contextlib
import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from logship.page.api.endpoints import NAMES
from logship.page.api.openapi import PATHS, document
from logship.page.context import PageContext
from tests.conftest import PROVE
from tests.page.conftest import Served

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
HOSTILE = [
    "'; DROP TABLE logs; --", "\" OR 1=1 --", "') UNION SELECT * FROM read_text('/etc/passwd') --", "x' || getenv('PATH') || '",
    "read_csv('/etc/passwd')", "labels['a']", "@timestamp\") FROM x; --", "../../etc/passwd", "%2e%2e%2f", "\x00", "\ud7ff",
    "\N{RIGHT-TO-LEFT OVERRIDE}", "*" * 300, "(" * 60, "a:" * 400, '"' + "x" * 5000, "${jndi:ldap://x}", "{{7*7}}", "\r\nX: y",
    "-1", "1e309", "9" * 40, "0x10", "NaN", "now-99999999999y", "1677-01-01", "9999-12-31T23:59:59Z", "🐢" * 50,
]  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    one = Served(tmp_path_factory.mktemp("hostile") / "store", PageContext(health=lambda: {"stored_total": 5}))
    yield one
    one.close()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One for all: each would read the certificates of the machine anew."""
    with httpx.Client(timeout=30) as one:
        yield one


API = schemathesis.openapi.from_dict(document("0", NAMES))


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/api/tail"])  # which has no end
@pytest.mark.timeout(1800)
@settings(max_examples=300 if PROVE else 10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_the_document_allows_is_answered_as_it_says(served: Served, path: str, data: st.DataObject) -> None:
    case = data.draw(API[path]["GET"].as_strategy())
    case.call_and_validate(base_url=served.url, checks=CHECKS, timeout=30)


@pytest.mark.timeout(1800)
@settings(max_examples=3000 if PROVE else 60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_text_in_any_parameter_is_answered_or_refused_with_a_sentence(
    served: Served, client: httpx.Client, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from([one for one in NAMES if one != "/api/tail"]))
    value = st.sampled_from(HOSTILE) | st.text(max_size=40)
    given_ = {name: data.draw(value) for name in NAMES[path] if data.draw(st.booleans())}
    place = path.replace("{id}", quote(data.draw(value) or "x", safe=""))
    answer = client.get(served.url + place, params=given_)
    assert answer.status_code in {200, 400, 404}, (answer.status_code, answer.text)
    if answer.status_code != 200:
        assert set(answer.json()) <= {"error", "at", "expected"}
        # What DuckDB says would tell that the text had reached its parser.
        for word in ("Parser Error", "Binder Error", "Catalog Error", "duckdb", "Traceback"):
            assert word not in answer.text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_kql_is_only_a_question(served: Served, hostile: str) -> None:
    for path in ("count", "top?field=http.route&", "tally?by=service.name&"):
        separator = "" if "?" in path else "?"
        answer = httpx.get(f"{served.url}/api/{path}{separator}q={quote(hostile, errors='replace')}", timeout=30)
        assert answer.status_code in {200, 400}, answer.text
    assert httpx.get(f"{served.url}/api/count", timeout=30).json() == {"count": 5}


def raw(served: Served, target: str) -> tuple[int, bytes]:
    """A request as no client would put it."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    try:
        connection.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("host", "127.0.0.1")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    "target",
    [
        "/../../etc/passwd", "/api/../../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/api/events/..%2f..%2f..%2fetc%2fpasswd",
        "//etc/passwd", "/style.css/../../../../etc/passwd", "/api/events/%00", "/api/events/", "/static/../logship/page/app.py",
        "/api/export/..", "/.git/config", "/api/search%00", "http://evil.example/api/count",
    ],
)  # fmt: skip
def test_no_path_leads_out(served: Served, target: str) -> None:
    status, body = raw(served, target)
    assert status in {200, 400, 404, 421}
    assert b"root:" not in body
    assert b"import " not in body
    assert status != 200 or target.startswith("http://")  # the path of an absolute address is asked, nothing else


def test_a_very_long_question_is_refused(served: Served) -> None:
    assert raw(served, "/api/count?q=" + "x" * 63_000)[0] in {400, 414}
    with contextlib.suppress(ConnectionError):  # it may be closed before all of it is read
        assert raw(served, "/api/count?q=" + "x" * 200_000)[0] in {400, 414, 431}
    assert httpx.get(f"{served.url}/api/count", timeout=30).json() == {"count": 5}


def test_a_body_is_not_waited_for(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.putrequest("GET", "/api/count")
    connection.putheader("content-length", str(10**12))
    connection.endheaders(b"x" * 1000)
    assert connection.getresponse().status == 200
    connection.close()


def test_files_of_the_machine_stay_where_they_are(served: Served, tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("hunter2,hunter2\n")
    for question in (f"read_csv('{secret}')", f"{secret}", f"message: '{secret}'", f"'{secret}'"):
        for path in ("count?q=", "top?field=", "stats?field=", "tally?by=", "events/"):
            answer = httpx.get(f"{served.url}/api/{path}{quote(question, safe='')}", timeout=30)
            assert "hunter2" not in answer.text
