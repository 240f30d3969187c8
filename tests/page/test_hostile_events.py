"""Whatever an event holds is shown as text: in lists, details, titles, charts, completion, exports, and without JavaScript."""

import csv
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.conftest import PROVE, first
from tests.page.browsing import Visit, settled, until, wait
from tests.page.conftest import Shown
from tests.page.story import ABSURD_NAMES, HOSTILE, hostile

# Nothing of these may be in the text of a page: they are written out, U+202E between small angles.
UNSEEN_RANGES = ((0, 9), (11, 32), (0x7F, 0xA0), (0x61C, 0x61D), (0x200B, 0x2010), (0x202A, 0x202F), (0x2060, 0x2070))
UNSEEN = ["\ufeff", *(chr(n) for first, after in UNSEEN_RANGES for n in range(first, after))]


@pytest.fixture(scope="module", autouse=True)
def _events(shown: Shown) -> None:
    shown.store.append(list(hostile(shown.now_ns)))


@pytest.fixture
def visit(chromium: Any, shown: Shown) -> Iterator[Visit]:
    visit = Visit(chromium, shown.url)
    yield visit
    harmless(visit)
    visit.close()


def harmless(visit: Visit) -> None:
    """Nothing ran, nothing was asked of elsewhere, nothing became an element, nothing unseen is in what is read."""
    page = visit.page
    assert page.evaluate("window.broken") is None
    assert page.locator("img, main script, iframe, object, main b, main i").count() == 0
    assert [url for url in visit.asked if not url.startswith(visit.url)] == []
    assert visit.complaints == []
    for text in (page.title(), page.evaluate("document.body.innerText")):
        assert [hex(ord(one)) for one in UNSEEN if one in text] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"


@pytest.mark.parametrize("kind", first(4, HOSTILE))
def test_a_hostile_event_is_text_in_the_list_the_details_and_the_title(visit: Visit, kind: str) -> None:
    page = visit.go("/search?q=" + quote(f'http.request.id: "hostile-{kind}"'))
    row = wait(page, ".row[data-event]")
    row.click()
    wait(page, ".details th", "url.path")
    event = page.locator(".event").bounding_box()
    assert event["height"] < 20_000
    harmless(visit)
    visit.go(f"/r/hostile-{kind}")
    settled(page)
    wait(page, ".curl")


def test_a_hostile_worker_table_route_and_failure_are_text_in_the_overview(visit: Visit) -> None:
    page = visit.go("/")
    wait(page, ".failures li")
    settled(page)


@pytest.mark.parametrize(
    "path", ["/panels/slowest-routes", "/panels/errors", "/panels/failures", "/w/host-7/8000/w9", "/account"]
)
def test_hostile_values_are_text_in_every_view(visit: Visit, path: str) -> None:
    settled(visit.go(path))


def test_absurd_field_names_are_text_in_the_panel_in_details_and_in_a_question(visit: Visit) -> None:
    page = visit.go("/search?q=" + quote('http.request.id: "hostile-names"'))
    wait(page, ".row[data-event]").click()
    assert page.locator(".details th", has_text="labels.").count() == 2 * len(ABSURD_NAMES)
    page.fill(".panel input", "<script>")
    wait(page, ".panel .name", '<script>"x"').click()
    settled(page)
    page.locator(".details tr", has_text="a b: c and (d)").first.locator("button[aria-label^='Only']").click()
    settled(page)
    wait(page, ".row[data-event]", "absurd names")


def test_hostile_values_are_text_among_what_completes(visit: Visit) -> None:
    page = visit.go("/search")
    page.fill("[data-question]", "labels.text: ")
    page.locator("[data-question]").press("End")
    page.keyboard.type("<")
    page.keyboard.press("Backspace")
    wait(page, ".offers li", "<img")
    harmless(visit)


def test_a_hostile_question_in_the_address_is_text(visit: Visit) -> None:
    for text in list(HOSTILE.values())[: None if PROVE else 4]:
        visit.go("/search?q=" + quote(text[:500]))
        settled(visit.page)
        harmless(visit)


def test_hostile_events_are_text_in_the_tail(visit: Visit, shown: Shown) -> None:
    page = visit.go("/tail")
    wait(page, ".summary", "following")
    fresh = list(hostile(shown.now_ns))
    for _, record in fresh:
        record["event.id"] = record["event.id"].replace("bad0bad0", "0bad0bad")
    shown.store.append(fresh)
    until(page, f"document.querySelectorAll('.tail-box [data-event]').length === {len(fresh)}")


def test_without_javascript_hostile_events_are_text(shown: Shown) -> None:
    page = httpx.get(f"{shown.url}/plain", params={"q": 'http.request.id: "hostile-*"'}, timeout=30).text
    assert "<script" not in page
    assert "<img" not in page
    assert [hex(ord(one)) for one in UNSEEN if one in page] == []


def test_no_exported_cell_is_a_formula(shown: Shown) -> None:
    answer = httpx.get(f"{shown.url}/api/export", params={"q": "logship.worker.slot: 9", "format": "csv"}, timeout=30)
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert len(rows) >= len(HOSTILE) + 2
    assert [cell for row in rows for cell in row if cell.startswith(("=", "+", "@", "\t", "\r"))] == []
    assert any(cell.startswith("'=HYPERLINK") for row in rows for cell in row)
