"""The incident view in a real Chromium: what happened, when it began, and what differs from the time before."""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from logship.event.annotation import annotation
from logship.search.times import rfc3339
from logship.store.write.store import Store
from tests.forensics.compare.shop import LENGTH_NS, SECOND, fill
from tests.page.browsing import Visit, settled, until, wait
from tests.page.conftest import Shown
from tests.store.events import BEGIN_NS


def failing(fields: Any, pick: Random) -> dict[str, Any]:
    failed = fields["http.route"] == "/a" and pick.random() < 0.3
    return {"http.response.status_code": 500, "error.type": "KeyError"} if failed else {}


@pytest.fixture(scope="module")
def incident_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page over a shop whose route /a begins to fail in the middle."""
    shown = Shown(tmp_path_factory.mktemp("incident") / "store", lambda store, _: fill(store, failing, requests=6000))
    yield shown.url
    shown.close()


def window() -> str:
    since, until = rfc3339(BEGIN_NS + LENGTH_NS // 2), rfc3339(BEGIN_NS + 2 * LENGTH_NS)
    return f"since={since[:23]}Z&until={until[:23]}Z"


def test_it_says_what_happened_and_leads_to_the_events(chromium: Any, incident_url: str) -> None:
    visit = Visit(chromium, incident_url)
    page = visit.go(f"/i?{window()}")
    finding = wait(page, ".incident li", "/a: failed requests")
    assert "began" in finding.inner_text()
    assert re.search(r"before .*%, then .*%", finding.locator("svg.two").get_attribute("aria-label"))
    wait(page, ".levels .changed", "failed requests")
    wait(page, ".differences a", "http.route=/a")
    finding.locator("a", has_text="Its events").click()
    page.wait_for_url(re.compile(r"/search\?.*q=.*%2Fa"))
    wait(page, ".events li")
    visit.close()


def test_a_reason_is_opened_with_the_keyboard(chromium: Any, incident_url: str) -> None:
    visit = Visit(chromium, incident_url)
    page = visit.go(f"/i?{window()}")
    wait(page, ".differences a", "http.route=/a").focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/search\?"))
    visit.close()


def test_x_explains_the_bar_of_a_chart(chromium: Any, incident_url: str) -> None:
    visit = Visit(chromium, incident_url)
    page = visit.go(f"/?{window()}")
    wait(page, ".lane .plot").focus()
    page.keyboard.press("End")
    page.keyboard.press("Shift+Home")
    page.keyboard.press("x")
    page.wait_for_url(re.compile(r"/i\?.*since="))
    wait(page, ".incident li", "/a: failed requests")
    visit.close()


def test_an_address_with_a_moment_shows_the_time_around_it(chromium: Any, incident_url: str) -> None:
    visit = Visit(chromium, incident_url)
    page = visit.go(f"/i/{rfc3339(BEGIN_NS + LENGTH_NS + 60 * SECOND)[:19]}Z")
    page.wait_for_url(re.compile(r"/i\?since=.*until="))
    wait(page, ".incident h2", "What happened")
    page.goto(f"{incident_url}/i/yesterday")
    wait(page, "main p", "Not a time")
    visit.close()


def test_a_quiet_window_is_said_to_be_quiet(chromium: Any, incident_url: str) -> None:
    since, until = rfc3339(BEGIN_NS + LENGTH_NS // 2), rfc3339(BEGIN_NS + LENGTH_NS)
    visit = Visit(chromium, incident_url)
    page = visit.go(f"/i?since={since[:23]}Z&until={until[:23]}Z")
    wait(page, ".incident .calm", "Nothing stands out")
    visit.close()


def test_the_overview_lists_what_differs_from_the_time_before(chromium: Any, incident_url: str) -> None:
    visit = Visit(chromium, incident_url)
    page = visit.go(f"/?{window()}")
    finding = wait(page, ".stands li", "/a: failed requests")
    wait(page, ".stands p", "compared with")
    assert page.locator(".mark-began").count() > 0
    finding.locator("a", has_text="Its events").click()
    page.wait_for_url(re.compile(r"/search\?.*q=.*%2Fa"))
    assert visit.complaints == []
    visit.close()


def test_charts_do_not_wait_for_the_comparison(chromium: Any, incident_url: str) -> None:
    visit = Visit(chromium, incident_url)
    held: list[Any] = []
    visit.context.route("**/api/incident?*", lambda route: held.append(route))
    page = visit.go(f"/?{window()}")
    wait(page, ".lane .plot")
    wait(page, ".stands p", "Comparing with the time before")
    wait(page, ".badge", re.compile("complete|unknown"))  # others that come late do not wait for it either
    until(page, "performance.getEntriesByType('resource').some(one => one.name.includes('/api/marks'))")
    held[0].continue_()
    wait(page, ".stands li", "/a: failed requests")
    visit.close()


def test_a_large_window_is_compared_when_its_incident_is_opened(chromium: Any, incident_url: str) -> None:
    def larger(route: Any) -> None:
        answer = route.fetch()
        content = answer.json()
        content["workers"][0]["requests"] = 2_000_000
        route.fulfill(response=answer, json=content)

    visit = Visit(chromium, incident_url)
    visit.context.route("**/api/overview?*", larger)
    page = visit.go(f"/?{window()}")
    wait(page, ".stands p", "Not compared with the time before")
    settled(page)
    assert [url for url in visit.asked if "/api/incident" in url] == []
    visit.context.unroute_all(behavior="ignoreErrors")
    page.click(".stands a.more")
    wait(page, ".incident li", "/a: failed requests")
    visit.close()


def test_a_comparison_that_fails_leaves_the_other_findings(chromium: Any, incident_url: str) -> None:
    visit = Visit(chromium, incident_url)
    refused = {"status": 400, "json": {"error": "no such baseline"}}
    visit.context.route("**/api/incident?*", lambda route: route.fulfill(**refused))
    page = visit.go(f"/?{window()}")
    wait(page, ".stands p", "no such baseline")
    wait(page, ".stands li", "/a failed")
    visit.close()


@pytest.mark.parametrize("form", ["HTML", "Markdown"])
def test_the_report_is_downloaded_as_one_file(chromium: Any, incident_url: str, form: str) -> None:
    visit = Visit(chromium, incident_url)
    page = visit.go(f"/i?{window()}")
    with page.expect_download() as download:
        wait(page, ".actions a", form).click()
    assert re.fullmatch(r"incident-[\dT-]+Z\.(html|md)", download.value.suggested_filename)
    text = download.value.path().read_text(encoding="utf-8")
    assert "/a: failed requests" in text
    assert text.startswith("<!doctype html>" if form == "HTML" else "# Incident ")
    visit.close()


def test_findings_and_the_report_are_reached_by_keys(chromium: Any, incident_url: str) -> None:
    visit = Visit(chromium, incident_url)
    page = visit.go(f"/i?{window()}")
    wait(page, ".incident li", "/a: failed requests")
    with page.expect_download() as download:
        page.keyboard.press("r")
    assert download.value.path().read_text(encoding="utf-8").startswith("<!doctype html>")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.textContent") == "Its events"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/search\?.*q=.*%2Fa"))
    visit.close()


@pytest.fixture
def noted(tmp_path: Path) -> Iterator[Shown]:
    """A page over a shop with a note in its window."""

    def fill_with_note(store: Store, _: int) -> None:
        fill(store, failing, requests=500)
        store.append([(BEGIN_NS + LENGTH_NS + 100 * SECOND, annotation("<i>rolled back</i>", "shop", BEGIN_NS, "note-1"))])

    shown = Shown(tmp_path / "store", fill_with_note)
    yield shown
    shown.close()


def test_a_note_is_listed_and_is_a_mark_on_the_lanes(chromium: Any, noted: Shown) -> None:
    visit = Visit(chromium, noted.url)
    page = visit.go(f"/i?{window()}")
    assert "<i>rolled back</i> (shop)" in wait(page, ".note", "rolled back").inner_text()
    mark = page.locator(".lane .mark-note").first
    mark.wait_for(state="attached")
    assert mark.locator("title").text_content() == "note: <i>rolled back</i>"
    assert page.locator(".lane .mark-note").count() == page.locator(".lane .plot[role=slider]").count()
    visit.close()
