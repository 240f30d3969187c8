"""The page without JavaScript: it can be read, and nothing that an event holds becomes markup."""

import httpx

from tests.page.conftest import Served


def test_it_shows_workers_and_newest_requests(served: Served) -> None:
    page = httpx.get(served.url + "/plain", timeout=20)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "host/shop/w2" in page.text
    assert "Newest requests" in page.text
    assert "/orders/5" in page.text


def test_what_events_hold_is_escaped(served: Served) -> None:
    page = httpx.get(served.url + "/plain", params={"q": "<b>\"'&"}, timeout=20).text
    assert "<b>" not in page
    assert "<script" not in httpx.get(served.url + "/plain", timeout=20).text


def test_a_question_finds_and_a_wrong_one_is_told(served: Served) -> None:
    found = httpx.get(served.url + "/plain", params={"q": "http.response.status_code: 500"}, timeout=20).text
    assert "/orders/3" in found
    assert "/orders/4" not in found
    assert "the query ends too early" in httpx.get(served.url + "/plain", params={"q": "a: ("}, timeout=20).text
    assert "invalid duration" in httpx.get(served.url + "/plain", params={"last": "x"}, timeout=20).text


def test_an_empty_time_says_how_to_begin(served: Served) -> None:
    assert "No worker sent events" in httpx.get(served.url + "/plain", params={"last": "1ms"}, timeout=20).text
