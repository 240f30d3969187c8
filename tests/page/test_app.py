"""The HTTP interface: answers as JSON, wrong questions as sentences, tails that resume, strangers kept out."""

import asyncio
import base64
import csv
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from logship.errors import StoreError
from logship.forensics.inflight import report
from logship.page.api import limits
from logship.page.app import app
from logship.page.client import HttpSource
from logship.page.context import PageContext
from logship.page.guard import Access
from logship.search import pages
from logship.search.kql import parse
from logship.search.query import Query, Source
from logship.state.inflight import Running
from logship.state.living import Living
from logship.store.read.reader import Reader
from tests.page.conftest import LIFE, Served, Shown, event

Serve = Callable[..., Served]


async def within(source: Source, path: str, params: dict[str, str]) -> httpx.Response:
    """The answer of an application over `source` in this process."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(source))) as client:
        return await client.get(f"http://localhost{path}", params=params)


def ask(served: Served, path: str, **more: str) -> httpx.Response:
    return httpx.get(served.url + path, headers=more, timeout=20)


def test_a_search_answers_with_records_newest_first(served: Served) -> None:
    told = ask(served, "/api/search?q=http.response.status_code:200&limit=2").json()
    assert [record["event.sequence"] for record in told["records"]] == [5, 4]
    rest = ask(served, f"/api/search?q=http.response.status_code:200&limit=10&after={told['next']}").json()
    assert [record["event.sequence"] for record in rest["records"]] == [2, 1]
    oldest = ask(served, "/api/search?order=oldest&limit=1").json()
    assert oldest["records"][0]["event.sequence"] == 1


def test_windows_may_be_spans_times_and_nanoseconds(served: Served) -> None:
    assert ask(served, "/api/count?last=1h").json() == {"count": 5}
    assert ask(served, "/api/count?since=2020-01-01&until=2020-01-02").json() == {"count": 0}
    third = served.now_ns - 7 * 10**9
    assert ask(served, f"/api/count?since_ns={third}&until_ns={third + 1}").json() == {"count": 1}


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/api/search?q=a%3A%20(", "the query ends too early: expected a value"),
        ("/api/search?limit=0", "invalid limit '0': use an integer from 1 to 10000"),
        ("/api/search?limit=many", "invalid limit 'many': use an integer"),
        ("/api/search?limt=5", "unknown parameter 'limt'; did you mean limit?"),
        ("/api/search?order=up", "invalid order 'up': use newest or oldest"),
        ("/api/search?since=whenever", "invalid time 'whenever'"),
        ("/api/search?last=1h&since=1h", "both set the start of the time range"),
        ("/api/count?since_ns=x", "invalid since_ns 'x': use nanoseconds"),
        ("/api/top", "the parameter field is missing"),
        ("/api/tally?every_ns=5", "invalid every_ns '5': use an integer from 1000000 to"),
        ("/api/stats?field=message", "statistics need a number field"),
    ],
)
def test_a_wrong_question_is_answered_with_a_sentence(served: Served, path: str, sentence: str) -> None:
    answer = ask(served, path)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


def test_wrong_kql_says_where(served: Served) -> None:
    assert ask(served, "/api/count?q=a%3A%20(b").json()["at"] == 5


def test_short_names_are_answered_and_said_in_full(served: Served) -> None:
    assert ask(served, "/api/count?q=status: 5xx and duration > 2ms").json() == {"count": 1}
    told = ask(served, "/api/tally?by=status").json()["buckets"]
    assert [(one["key"], one["events"]) for one in told] == [("200", 4), ("500", 1)]
    kql = ask(served, "/api/kql?q=status: 5xx and worker: w2").json()["kql"]
    assert kql == "http.response.status_code >= 500 and http.response.status_code < 600 and logship.worker.slot: 2"


def test_an_answer_says_which_names_no_event_has(served: Served) -> None:
    (hint,) = ask(served, "/api/search?q=status: 500 or basket: 7").json()["hints"]
    assert "'basket'" in hint
    assert ask(served, "/api/count?q=basket: 7").json()["hints"] == [hint]
    assert "hints" not in ask(served, "/api/count?q=status: 500").json()
    assert "did you mean status" in ask(served, "/api/count?q=status: 500 or statsu: 7").json()["error"]


def test_what_is_not_there_is_named_with_what_is(served: Served) -> None:
    answer = ask(served, "/api/serach")
    assert answer.status_code == 404
    assert "/api/search" in answer.json()["error"]


def test_reports_are_answered(served: Served) -> None:
    (worker,) = ask(served, "/api/workers").json()["workers"]
    assert (worker["slot"], worker["requests"], worker["errors"]) == (2, 5, 1)
    assert ask(served, "/api/verify").json()["verdicts"][0]["incarnation"] == LIFE
    told = ask(served, "/api/inflight").json()
    assert (told["requests"], [one["node"] for one in told["not_visible"]]) == ([], ["host/shop/w2"])
    assert "not visible from here" in told["sentence"]


def test_a_service_narrows_every_report(served: Served) -> None:
    more = {"service.name": "billing", "service.node.name": "host/billing/w0", "logship.worker.slot": 0}
    life = "b" * 24
    ids = {"service.ephemeral_id": life, "event.id": f"{life}-000000000009"}
    served.store.append([event(9, served.now_ns, **more, **ids)])
    assert {one["service"] for one in ask(served, "/api/workers").json()["workers"]} == {"shop", "billing"}
    told = ask(served, "/api/workers?service=billing").json()
    assert [(one["service"], one["share"]) for one in told["workers"]] == [("billing", 1.0)]
    assert ask(served, "/api/count?service=shop&q=status: 500").json() == {"count": 1}
    assert ask(served, "/api/count?service=billing&q=status: 500").json() == {"count": 0}


def test_a_rate_divides_by_the_time_that_is_covered(served: Served) -> None:
    told = ask(served, "/api/workers?last=7d").json()
    (worker,) = told["workers"]
    assert 9 * 10**9 <= told["covered_ns"] < 10**12
    assert worker["requests_per_second"] == pytest.approx(5 / (told["covered_ns"] / 1e9))


def test_running_requests_are_those_that_the_process_sees(serve: Serve) -> None:
    running = Running(1, "", "running-1", "GET", "/slow")
    worker = Living(LIFE, "shop", "host/shop/w2", 2, 1, 4711, (running,))
    served = serve(PageContext(live_workers=lambda: [worker]))
    told = ask(served, "/api/inflight?worker=w2").json()
    assert [(one["state"], one["id"], one["what"]) for one in told["requests"]] == [("running", "running-1", "GET /slow")]
    assert (told["not_visible"], told["sentence"]) == ([], "")
    assert ask(served, "/api/inflight?q=path: /quick").json()["sentence"].startswith("no request is running")
    far = HttpSource(served.url)
    assert [one.id for one in report(far, Query(), [worker], served.now_ns).requests] == ["running-1"]


def test_health_is_what_the_process_tells(serve: Serve) -> None:
    served = serve(PageContext(health=lambda: {"stored_total": 7}))
    assert ask(served, "/api/health").json() == {"status": "ok", "stored_total": 7}


def test_a_stream_sends_what_is_new_and_resumes_after_the_last_id(served: Served) -> None:
    def read(lines: list[str], stream: httpx.Response, until: str) -> None:
        for line in stream.iter_lines():
            lines.append(line)
            if until in line:
                return

    first: list[str] = []
    with httpx.stream("GET", f"{served.url}/api/tail", timeout=20) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        while not (line := next(lines)).startswith("id: "):
            pass
        served.store.append([event(6, served.now_ns), event(7, served.now_ns)])
        for line in lines:
            first.append(line)
            if '"event.sequence":7' in line:
                break
    key = next(line for line in reversed(first) if line.startswith("id: ")).removeprefix("id: ")
    assert sum(line.startswith("data: ") for line in first) == 2
    served.store.append([event(8, served.now_ns)])
    second: list[str] = []
    with httpx.stream("GET", f"{served.url}/api/tail", headers={"last-event-id": key}, timeout=20) as stream:
        read(second, stream, '"event.sequence":8')
    assert sum(line.startswith("data: ") for line in second) == 1


def test_a_stream_ends_when_the_process_does(serve: Serve) -> None:
    ending: list[bool] = []
    served = serve(PageContext(stopping=lambda: bool(ending)))
    with httpx.stream("GET", f"{served.url}/api/tail", timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        ending.append(True)
        assert all(not line.startswith("data:") for line in lines)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "shop"])
def test_another_name_for_this_address_is_refused(served: Served, host: str) -> None:
    assert ask(served, "/api/count", host=host).status_code in {400, 421}


@pytest.mark.parametrize("host", ["localhost:24280", "127.0.0.1", "[::1]:80", "10.1.2.3:24280", "x.localhost"])
def test_addresses_and_localhost_are_answered(served: Served, host: str) -> None:
    assert ask(served, "/api/count", host=host).status_code == 200


def test_names_that_we_were_told_are_answered(serve: Serve) -> None:
    assert (
        ask(serve(PageContext(access=Access(hosts=("Logs.Example",)))), "/api/count", host="logs.example:80").status_code
        == 200
    )


def test_an_unknown_name_is_answered_to_who_knows_the_token_and_told_which_setting_adds_it(serve: Serve) -> None:
    served = serve(PageContext(access=Access(token="s3cret")))
    refused = ask(served, "/api/count", host="logs:24280")
    assert refused.status_code == 421
    assert "unexpected Host header 'logs:24280'; add the name to LOGSHIP_ALLOWED_HOSTS" in refused.json()["error"]
    assert ask(served, "/api/count", host="logs:24280", authorization="Bearer s3cret").status_code == 200
    assert ask(served, "/api/count", host="logs:24280", authorization="Bearer wrong").status_code == 421


@pytest.mark.parametrize("host", ["evil.com@127.0.0.1", "127.0.0.1, evil.com", "a b"])
def test_what_is_not_a_host_is_refused_even_with_the_token(serve: Serve, host: str) -> None:
    served = serve(PageContext(access=Access(token="s3cret", hosts=("*",))))
    assert ask(served, "/api/count", host=host, authorization="Bearer s3cret").status_code == 400


@pytest.mark.parametrize("host", ["10.0.0.7:24280", "pod-1.shop.svc", "evil.com@127.0.0.1"])
def test_health_is_answered_under_any_name_without_a_token(serve: Serve, host: str) -> None:
    unready: list[str] = []
    served = serve(PageContext(access=Access(token="s3cret"), unready=lambda: "".join(unready)))
    for path in ("/healthz", "/readyz"):
        answer = ask(served, path, host=host)
        assert (answer.status_code, answer.text) == (200, "ok\n")
    unready.append("the store is gone")
    assert ask(served, "/healthz", host=host).status_code == 200
    answer = ask(served, "/readyz", host=host)
    assert (answer.status_code, answer.text) == (503, "the store is gone\n")
    assert ask(served, "/api/health", authorization="Bearer s3cret").json()["status"] == "the store is gone"


def test_a_read_token_reads_and_changes_nothing(serve: Serve) -> None:
    served = serve(PageContext(access=Access(token="full", read_token="read")))
    for token in ("full", "read"):
        for path in ("/", "/api/count", "/metrics", "/api/health"):
            assert ask(served, path, authorization=f"Bearer {token}").status_code == 200
    posted = {
        token: httpx.post(f"{served.url}/api/search", headers={"authorization": f"Bearer {token}"})
        for token in ("full", "read", "wrong")
    }
    assert {token: answer.status_code for token, answer in posted.items()} == {"full": 405, "read": 403, "wrong": 401}


def test_a_read_token_alone_is_asked_for(serve: Serve) -> None:
    served = serve(PageContext(access=Access(read_token="read")))
    assert ask(served, "/api/count").status_code == 401
    assert ask(served, "/api/count", authorization="Bearer read").status_code == 200


@pytest.mark.parametrize("path", ["/api/tail", "/api/export"])
def test_streams_are_not_buffered_by_proxies(served: Served, path: str) -> None:
    with httpx.stream("GET", served.url + path, timeout=20) as stream:
        assert stream.headers["x-accel-buffering"] == "no"
        assert stream.headers["cache-control"] == "no-store"


def test_another_site_may_link_here_but_not_ask(served: Served) -> None:
    site = {"sec-fetch-site": "cross-site"}
    assert ask(served, "/api/count", **site, **{"sec-fetch-mode": "no-cors"}).status_code == 403
    assert ask(served, "/", **site, **{"sec-fetch-mode": "navigate"}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "", "http://[", "file://"])
def test_another_origin_may_not_ask(served: Served, origin: str) -> None:
    assert ask(served, "/api/count", origin=origin).status_code == 403
    assert ask(served, "/api/count", origin=served.url).status_code == 200


def test_nothing_can_be_changed(served: Served) -> None:
    answer = httpx.post(f"{served.url}/api/search")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_token_opens_the_door_as_bearer_or_as_a_browsers_password(serve: Serve) -> None:
    served = serve(PageContext(access=Access(token="s3cret")))
    basic = base64.b64encode(b"me:s3cret").decode()
    for authorization, status in {
        "": 401,
        "Bearer wrong": 401,
        "Digest s3cret": 401,
        "Basic !": 401,
        "Basic " + base64.b64encode(b"me:wrong").decode(): 401,
        "Bearer s3cret": 200,
        "bearer s3cret": 200,
        f"Basic {basic}": 200,
    }.items():
        for path in ("/", "/api/count", "/api/health"):
            assert ask(served, path, authorization=authorization).status_code == status
    assert ask(served, "/healthz").text == "ok\n"


@pytest.mark.parametrize("path", ["/", "/api/count", "/api/nothing", "/api/search?q=(", "/style.css"])
def test_every_answer_carries_the_security_headers(served: Served, path: str) -> None:
    headers = ask(served, path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


def test_a_mistake_of_ours_is_a_sentence_without_its_insides(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> dict[str, object]:
        raise RuntimeError("the insides")

    served = serve(PageContext(health=broken))
    answer = ask(served, "/api/health")
    assert answer.status_code == 500
    assert "insides" not in answer.text
    assert "the insides" in caplog.text


def test_a_store_that_is_not_there_is_said_so(serve: Serve, tmp_path: Path) -> None:
    answer = ask(serve(asked=tmp_path / "elsewhere"), "/api/count")
    assert answer.status_code == 503
    assert "there is no store" in answer.json()["error"]


def test_single_events_are_found_by_any_of_their_ids(served: Served) -> None:
    for name in ("request-3", f"{LIFE}-000000000003"):
        (record,) = ask(served, f"/api/events/{name}").json()["records"]
        assert record["event.sequence"] == 3
    answer = ask(served, "/api/events/none")
    assert answer.status_code == 404
    assert answer.json()["error"] == "not found: no event, request or trace has the id 'none'"


def test_a_parameter_that_comes_twice_is_refused(served: Served) -> None:
    assert "more than once" in ask(served, "/api/count?q=a&q=b").json()["error"]


def test_everything_that_matches_can_be_exported(served: Served) -> None:
    lines = ask(served, "/api/export?q=event.sequence>=2").text.splitlines()
    assert [json.loads(line)["event.sequence"] for line in lines] == [2, 3, 4, 5]
    rows = list(csv.DictReader(ask(served, "/api/export?format=csv&last=1h").text.splitlines()))
    assert [row["http.request.id"] for row in rows] == [f"request-{number}" for number in range(1, 6)]
    assert ask(served, "/api/export?q=event.sequence>=9").text == ""
    assert ask(served, "/api/export?q=(").status_code == 400
    head = httpx.head(f"{served.url}/api/export", timeout=20)
    assert (head.status_code, head.content) == (200, b"")


def test_a_tail_from_another_store_says_that_it_skips(served: Served) -> None:
    with httpx.stream("GET", f"{served.url}/api/tail?after={2**60}", timeout=20) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "event: skipped"
        served.store.append([event(9, served.now_ns)])
        assert any('"event.sequence":9' in line for line in lines)


def test_metrics_are_what_prometheus_reads(serve: Serve) -> None:
    ack = {"le": {"0.1": 3, "+Inf": 4}, "sum": 1.5}
    served = serve(PageContext(health=lambda: {"stored_total": 7, "segments": 2, "ack_seconds": ack, "unknown": 1}))
    answer = ask(served, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert found["logship_collector_stored_events"].samples[0].value == 7
    assert found["logship_store_segments"].type == "gauge"
    buckets = {sample.labels.get("le"): sample.value for sample in found["logship_collector_ack_seconds"].samples}
    assert (buckets["0.1"], buckets["+Inf"]) == (3, 4)
    assert "unknown" not in answer.text


def test_a_question_that_takes_too_long_is_cancelled_with_a_sentence(served: Served) -> None:
    for start in range(100, 20_100, 5_000):
        served.store.append([event(number, served.now_ns) for number in range(start, start + 5_000)])
    reader = Reader(served.reader.directory, limit_seconds=1e-6)
    slow = Query(parse("message: *o*r*d*e*r*9*9*"))
    try:
        with pytest.raises(StoreError, match="took longer than 1e-06 s and was cancelled; use a shorter time window"):
            [reader.stats(slow, "event.duration", "http.request.id") for _ in range(100)]
        asked = {"q": "message: *o*r*d*e*r*9*9*", "field": "event.duration", "by": "http.request.id"}
        answer = asyncio.run(within(reader, "/api/stats", asked))
        assert answer.status_code == 503
        assert "was cancelled; use a shorter time window" in answer.json()["error"]
    finally:
        reader.close()


def test_too_many_who_wait_are_told_so(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logship.page.api.limits.WAITING", 0)
    answer = ask(serve(), "/api/count")
    assert answer.status_code == 503
    assert "retry shortly" in answer.json()["error"]


def test_all_that_a_view_asks_at_once_fits_into_memory(shown: Shown) -> None:
    def ask(number: int) -> httpx.Response:
        window: dict[str, str | int] = {
            "since_ns": shown.now_ns - number * 10**9 - 900 * 10**9,
            "until_ns": shown.now_ns,
        }
        by: dict[str, str | int] = {"field": "event.duration", "by": "service.node.name", "every_ns": 10**10}
        rows: dict[str, str | int] = {"limit": 1000}
        name, more = (("stats", by), ("search", rows), ("workers", {}), ("verify", {}))[number % 4]
        return httpx.get(f"{shown.url}/api/{name}", params=window | more, timeout=120)

    with ThreadPoolExecutor(16) as askers:
        answers = list(askers.map(ask, range(32)))
    assert [one.text for one in answers if one.status_code != 200] == []


def test_exports_are_limited_because_each_holds_a_window_of_events(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EXPORTS", 1)
    served.store.append([event(number, served.now_ns, message="x" * 100_000) for number in range(100, 300)])
    with httpx.stream("GET", f"{served.url}/api/export", timeout=20) as first:
        assert first.status_code == 200
        refused = ask(served, "/api/export")
        assert (refused.status_code, "1 exports are running" in refused.json()["error"]) == (503, True)
        lines = sum(1 for _ in first.iter_lines())
    assert lines == 205
    assert ask(served, "/api/export").status_code == 200


def test_answers_that_slow_clients_do_not_take_are_bounded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNSENT_BYTES", 1_000_000)
    served.store.append([event(number, served.now_ns, message="x" * 100_000) for number in range(100, 300)])
    with socket.create_connection(("127.0.0.1", served.port), 20) as slow:
        slow.sendall(b"GET /api/search?limit=300 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        refused = ask(served, "/api/count")
        assert refused.status_code == 503
        assert "wait for slow clients" in refused.json()["error"]
        rest = b""
        while some := slow.recv(65536):
            rest += some
    assert len(json.loads(rest.partition(b"\r\n\r\n")[2])["records"]) == 205
    assert ask(served, "/api/count").status_code == 200


def test_a_csv_of_too_many_labels_is_refused_with_the_number(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LIMIT_COLUMNS", 10)
    refused = ask(served, "/api/export?format=csv")
    assert refused.status_code == 400
    assert "columns, one for each label; the limit is 10. Export NDJSON instead" in refused.json()["error"]
    assert ask(served, "/api/export").status_code == 200
