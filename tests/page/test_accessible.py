"""Every view, light and dark, wide and narrow: axe finds nothing, nothing is cut off, nothing jumps."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.page import browsing
from tests.page.browsing import Visit, settled, until
from tests.page.conftest import Shown

VIEWS = {
    "overview": "/",
    "search": "/search",
    "details": "/search?q=error.type:*&event={event}",
    "wrong": "/search?q=a:%20(",
    "request": "/r/{request}",
    "cut-off": "/r/dead0000000000000000000000000000",
    "worker": "/w/host-7/8000/w3",
    "event": "/e/{event}",
    "tail": "/tail",
    "account": "/account",
    "incident": "/i",
    "errors": "/errors",
    "patterns": "/patterns",
    "panels": "/panels",
    "panel-bars": "/panels/requests",
    "panel-stats": "/panels/latency",
    "empty": "/?since=2020-01-01T00:00:00Z&until=2020-01-01T01:00:00Z",
    "plain": "/plain",
}
# In the dark only colours differ: style.css sets nothing else there. These are axe's rules that compare colours.
OF_COLOURS = "runOnly: ['color-contrast', 'link-in-text-block']"


def at(shown: Shown, view: str) -> str:
    record = httpx.get(f"{shown.url}/api/search", params={"q": "error.type: *", "limit": 1}, timeout=30).json()["records"][0]
    return VIEWS[view].format(event=record["event.id"], request=record["http.request.id"])


@pytest.fixture(scope="module", params=VIEWS)
def view(request: pytest.FixtureRequest, chromium: Any, shown: Shown) -> Iterator[Any]:
    """A view in a window, opened once for the tests that look at it."""
    visit = Visit(chromium, shown.url)
    visit.page.goto(shown.url + at(shown, request.param))
    visit.page.wait_for_selector("main")
    if request.param != "tail":
        settled(visit.page)
    yield visit.page
    visit.close()


def test_axe_finds_nothing(view: Any, request: pytest.FixtureRequest) -> None:
    source = (browsing.npm(browsing.AXE, request.config.cache.mkdir("npm")) / "axe.min.js").read_text(encoding="utf-8")
    page = view
    page.evaluate(source)
    for scheme, width, rules in (("light", 1280, ""), ("dark", 1280, OF_COLOURS), ("light", 360, "")):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        found = page.evaluate(f"axe.run(document, {{resultTypes: ['violations'], {rules}}})")["violations"]
        told = [(one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"]) for one in found]
        assert told == [], f"{page.url} {scheme} {width}: {json.dumps(told, indent=1)}"


def test_nothing_is_wider_than_the_window(view: Any) -> None:
    for width in (360, 768, 1280, 3840):
        view.set_viewport_size({"width": width, "height": 900})
        until(view, f"document.documentElement.scrollWidth <= {width}")  # charts are drawn anew


@pytest.mark.parametrize("path", ["/", "/search", "/w/host-7/8000/w1"])
def test_nothing_jumps_while_it_loads(chromium: Any, shown: Shown, path: str) -> None:
    visit = Visit(chromium, shown.url)
    visit.page.add_init_script(
        "window.jumped = 0; new PerformanceObserver(list => { for (const one of list.getEntries()) window.jumped += one.value; })"
        ".observe({type: 'layout-shift', buffered: true});"
    )
    settled(visit.go(path))
    jumped = visit.page.evaluate("window.jumped")
    print(f"{path}: layout shift {jumped:.3f}")
    assert jumped < 0.1  # what the Web Vitals call good
    visit.close()


def test_it_is_printed_without_what_cannot_be_pressed_on_paper(chromium: Any, shown: Shown) -> None:
    visit = Visit(chromium, shown.url)
    page = visit.go("/search")
    settled(page)
    page.emulate_media(media="print")
    assert not page.locator(".top nav").is_visible()
    assert not page.locator(".question button.primary").is_visible()
    assert page.locator(".plot").is_visible()
    assert page.pdf()[:4] == b"%PDF"
    visit.close()
