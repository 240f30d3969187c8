"""Two services on one page: each sentence names its own, and the selector keeps one."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.page.browsing import Visit
from tests.page.conftest import Shown
from tests.page.story import story

DAY_NS = 86_400 * 10**9


@pytest.fixture
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    one = Shown(tmp_path_factory.mktemp("two") / "store", lambda store, now_ns: store.append(story(now_ns, 400)))
    others = []
    for ns, event in story(one.now_ns, 400):
        life = f"b{event['service.ephemeral_id'][1:]}"
        billing = {"service.name": "billing", "service.ephemeral_id": life}
        billing |= {"service.node.name": event["service.node.name"].replace("8000", "9000")}
        others.append((ns, event | billing | {"event.id": f"{life}-{event['event.id'].rpartition('-')[2]}"}))
    one.store.append(others)
    yield one
    one.close()


def test_sentences_name_the_service_and_the_selector_keeps_one(chromium: Any, two: Shown) -> None:
    visit = Visit(chromium, two.url)
    page = visit.go("/?last=2d")
    page.wait_for_selector(".stands li")
    told = page.inner_text(".stands")
    assert "w3 of billing crashed" in told
    assert "w3 of shop crashed" in told
    assert "billing: Traffic is unbalanced" in told
    page.wait_for_selector("select.service")
    # A question about all that is stored would take longer with each month.
    (asked,) = {url for url in visit.asked if "/api/top?field=service.name" in url}
    times = {name: int(values[0]) for name, values in parse_qs(urlsplit(asked).query).items() if name.endswith("_ns")}
    assert two.now_ns - 4 * DAY_NS <= times["since_ns"] < two.now_ns <= times["until_ns"] <= two.now_ns + DAY_NS
    page.select_option("select.service", "billing")
    page.locator(".stands li", has_text="shop").first.wait_for(state="detached")
    page.wait_for_selector(".stands li.bad")
    told = page.inner_text(".stands")
    assert re.search(r"20\d\d-\d\d-\d\d [\d:.]+ w3 crashed", told)  # with the date: the window spans a day
    assert "service=billing" in page.url
    page = visit.go("/search?service=billing&q=" + "status >= 500 or basket: 7")
    assert "'basket'" in page.locator(".hint").inner_text()
    assert visit.complaints == []
    visit.close()
