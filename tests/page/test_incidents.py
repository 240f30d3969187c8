"""The incident over HTTP: as JSON, as a report in one file, made once for all clients."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from logship.forensics.incident import incident, write_up
from logship.page.api import incidents
from logship.page.context import PageContext
from logship.page.guard import Access
from tests.forensics.compare.shop import BASELINE, LENGTH_NS, WINDOW, fill
from tests.page.conftest import Served, Shown
from tests.page.test_incident_view import failing
from tests.store.events import BEGIN_NS

TIMES = {"since_ns": str(WINDOW.since_ns), "until_ns": str(WINDOW.until_ns)}
LATE = {
    "event.dataset": "logship.request", "event.action": "http-request", "service.name": "shop", "http.route": "/a",
    "service.node.name": "h/shop/w0", "http.response.status_code": 200, "event.duration": 10**7,
}  # fmt: skip
Serve = Callable[..., Served]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    shown = Shown(tmp_path_factory.mktemp("shop") / "store", lambda store, _: fill(store, failing, requests=3000))
    yield shown
    shown.close()


def get(url: str, path: str, **params: str) -> httpx.Response:
    return httpx.get(url + path, params=TIMES | params, timeout=60)


def late(served: Served, *numbers: int) -> None:
    """Store further requests in the window."""
    served.store.append([(BEGIN_NS + LENGTH_NS + 10**9, {"event.id": f"late-{number}", **LATE}) for number in numbers])


@pytest.mark.parametrize(("form", "media_type"), [("html", "text/html"), ("md", "text/markdown")])
def test_the_report_is_what_the_command_writes(shop: Shown, form: str, media_type: str) -> None:
    answer = get(shop.url, "/api/report", report_format=form)
    write = {"html": write_up.html, "md": write_up.markdown}[form]
    assert answer.text == write(incident(shop.reader, WINDOW, shop.now_ns, BASELINE), incidents.moment)
    assert "/a: failed requests" in answer.text.replace("\\", "")
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="incident-')
    assert answer.headers["content-disposition"].endswith(f'Z.{form}"')
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_times_of_a_report_name_their_zone(shop: Shown) -> None:
    assert " UTC - " in get(shop.url, "/api/report", report_format="md").text.splitlines()[0]


def test_a_report_has_links_to_kibana_where_there_is_one(serve: Serve) -> None:
    served = serve(PageContext(kibana_url="http://kibana.example"))
    fill(served.store, failing, requests=2000)
    assert "](http://kibana.example/app/discover#/" in get(served.url, "/api/report", report_format="md").text


def test_a_report_needs_the_token(serve: Serve) -> None:
    assert get(serve(PageContext(access=Access(token="secret"))).url, "/api/report").status_code == 401


@pytest.mark.parametrize(
    ("path", "params", "sentence"),
    [
        ("/api/report", {"report_format": "pdf"}, "invalid report_format 'pdf': use html or md"),
        ("/api/report", {"baseline": "tomorrow"}, "invalid baseline 'tomorrow'"),
        ("/api/incident", {"report_format": "md"}, "unknown parameter 'report_format'"),
        ("/api/incident", {"q": "("}, "the query ends too early"),
    ],
)
def test_invalid_parameters_are_named(shop: Shown, path: str, params: dict[str, str], sentence: str) -> None:
    answer = get(shop.url, path, **params)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


def requests_of(served: Served, **params: str) -> int:
    return int(get(served.url, "/api/incident", **params).json()["window"]["requests"])


def test_an_incident_is_kept_for_a_minute_and_then_made_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    late(served, 1, 2, 3)
    assert requests_of(served) == 3
    late(served, 4, 5)
    assert requests_of(served) == 3
    assert requests_of(served, baseline="yesterday") == 5  # not the same question
    monkeypatch.setattr(incidents, "KEPT_SECONDS", 0.0)
    assert requests_of(served) == 5


def test_only_the_newest_incidents_are_kept(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "KEPT", 1)
    late(served, 1, 2, 3)
    assert (requests_of(served), requests_of(served, baseline="yesterday")) == (3, 3)
    late(served, 4, 5)
    assert (requests_of(served), requests_of(served, baseline="yesterday")) == (5, 5)


def test_clients_that_ask_at_the_same_time_get_the_same_one(shop: Shown) -> None:
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: get(shop.url, "/api/incident", q="service.name: shop"), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


def test_too_many_that_wait_are_refused(shop: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "WAITING", 0)
    answer = get(shop.url, "/api/incident", baseline="last-week")
    assert answer.status_code == 503
    assert "retry shortly" in answer.json()["error"]


def test_an_absent_label_is_hinted_at(shop: Shown) -> None:
    assert "labels.tenannt" in get(shop.url, "/api/incident", q="labels.tenannt: t1").json()["hints"][0]
