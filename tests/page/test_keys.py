"""The same features by keyboard alone: no test here touches the mouse."""

import re
from typing import Any

import pytest

from tests.page.browsing import Visit, settled, until, wait
from tests.page.conftest import Shown
from tests.page.test_browser import address, total
from tests.page.test_tail import fresh

SAID = """((e) => [
    e.getAttribute('role') ?? e.tagName, e.getAttribute('aria-label') ?? e.innerText, e.getAttribute('aria-valuetext') ?? ''
].join(' | '))(document.activeElement)"""
OUTLINED = """((e) => {
    const s = getComputedStyle(e), b = e.getBoundingClientRect();
    return [s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0, b.width > 0 && b.height > 0];
})(document.activeElement)"""

# Keys are pressed faster than a busy machine draws what they lead to.
pytestmark = pytest.mark.quiet


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def focused(page: Any) -> str:
    """What a screen reader would say of the element that has the focus."""
    return str(page.evaluate(SAID))


def tab_to(page: Any, pattern: str) -> str:
    for _ in range(80):
        press(page, "Tab")
        if re.search(pattern, focused(page)):
            return focused(page)
    raise AssertionError(f"Tab does not reach {pattern}")


def test_views_are_a_digit_away_and_the_keys_are_shown(visit: Visit) -> None:
    page = visit.go("/")
    views = {"2": "search", "3": "tail", "4": "panels", "5": "i", "6": "errors", "7": "patterns", "0": "account", "1": ""}
    for key, path in ((key, f"/{name}") for key, name in views.items()):
        press(page, key)
        page.wait_for_url(lambda url, path=path: url.removeprefix(visit.url).split("?")[0] == path)
    press(page, "?")
    wait(page, "dialog[open] h1", "Keys")
    press(page, "Escape")
    page.wait_for_selector("dialog", state="detached")


def test_a_search_from_the_question_to_the_request(visit: Visit) -> None:
    page = visit.go("/search")
    press(page, "/")
    page.keyboard.type("http.response.stat")
    wait(page, ".offers li:only-child", "http.response.status_code")  # what half of the word offers has gone
    press(page, "ArrowDown", "Enter")
    wait(page, ".offers li", re.compile(r"^500"))
    page.keyboard.type("500")
    press(page, "Enter")
    address(page, "status_code%3A")
    wait(page, ".row", "POST /checkout 500")
    press(page, "Escape", "j")
    assert "checkout" in focused(page)
    first = focused(page)
    press(page, "j")
    assert focused(page) != first
    press(page, "k", "Enter")
    wait(page, ".details")
    press(page, "c")
    address(page, "/e/")
    wait(page, ".context .row")
    page.go_back()
    wait(page, ".details")
    press(page, "j", "r")
    address(page, "/r/")
    wait(page, "h2", "Where its time went")


def test_the_chart_speaks_and_is_brushed(visit: Visit) -> None:
    page = visit.go("/search")
    before = total(page)
    assert re.search(r"slider \| Events over time.*\| \d{4}-\d\d-\d\d .* to .*: [\d,]+ events?", tab_to(page, "slider"))
    press(page, "Home")
    first = focused(page)
    press(page, "ArrowRight", "ArrowRight")
    assert focused(page) != first
    press(page, *["Shift+ArrowRight"] * 12)
    assert "Enter zooms in" in focused(page)
    press(page, "Enter")
    address(page, "since=")
    page.wait_for_selector(".chart:not([aria-busy=true])")
    settled(page)
    assert 0 < total(page) < before


def held(visit: Visit) -> Any:
    """The overview of a time range that does not move, with everything on it: keys are pressed between two of its changes."""
    page = visit.go("/")
    wait(page, ".lane .bars path")
    press(page, "Space")
    address(page, "since=")
    settled(page)
    return page


def test_a_lane_opens_its_requests(visit: Visit) -> None:
    page = held(visit)
    said = tab_to(page, "slider \\| Requests of w0")
    for _ in range(30):
        press(page, "ArrowLeft")
        said = focused(page)
        if re.search(r"w0: [1-9]", said):
            break
    press(page, "Enter")
    address(page, "/search")
    assert total(page) == int(re.search(r"w0: (\d+)", said)[1])  # type: ignore[index]


def test_time_moves_widens_narrows_holds_and_changes_its_zone(visit: Visit) -> None:
    page = visit.go("/")
    wait(page, ".lane")
    press(page, "Space")
    address(page, "since=")
    press(page, "Space")
    page.wait_for_url(lambda url: "since=" not in url)
    for key in ("[", "]", "z", "Z"):
        before = page.url
        press(page, key)
        page.wait_for_url(lambda url, before=before: url != before)
    press(page, "u")
    address(page, "zone=local")


def test_a_link_is_copied_with_absolute_times(visit: Visit) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = visit.go("/search?q=event.action:%20worker-lost&last=1h")
    wait(page, ".row[data-event]")
    press(page, "y")
    wait(page, ".toast", "copied")
    assert re.search(r"since=.*until=", page.evaluate("navigator.clipboard.readText()"))
    press(page, "j", "Enter", "y")
    until(page, "navigator.clipboard.readText().then(text => text.includes('/e/'))")


def test_export_is_reached_by_a_key(visit: Visit) -> None:
    page = visit.go("/search?q=event.action:%20worker-lost")
    wait(page, ".row[data-event]")
    press(page, "e")
    until(page, "document.activeElement.textContent === 'NDJSON'")
    with page.expect_download() as download:
        press(page, "Enter")
    assert len(download.value.path().read_text().splitlines()) == 1


def test_a_value_narrows_and_a_column_is_chosen(visit: Visit) -> None:
    page = visit.go("/search?q=event.dataset:%20logship.request")
    wait(page, ".panel .name")
    tab_to(page, "Column http.route")
    press(page, "Enter")
    address(page, "cols=http.route")
    press(page, "j", "Enter")
    wait(page, ".details")
    tab_to(page, "Only with this http.route")
    press(page, "Enter")
    address(page, "http.route%3A")


def test_the_account_the_worker_and_a_table_are_reached_with_tab(visit: Visit) -> None:
    page = held(visit)
    tab_to(page, "Show as table")
    press(page, "Enter")
    wait(page, ".lanes table")
    tab_to(page, r"A \| w3")
    press(page, "Enter")
    address(page, "/w/host-7/8000/w3")
    wait(page, "h2", "Process history")
    tab_to(page, "Delivery check: ")
    press(page, "Enter")
    address(page, "/account")


def test_the_focus_can_always_be_seen(visit: Visit) -> None:
    page = visit.go("/search")
    wait(page, ".row[data-event]")
    unseen = []
    for _ in range(40):
        press(page, "Tab")
        if page.evaluate(OUTLINED) != [True, True]:
            unseen.append(focused(page))
    assert unseen == []


def test_the_tail_is_held_read_and_followed(visit: Visit, shown: Shown) -> None:
    page = visit.go("/tail")
    wait(page, ".summary", "following")
    fresh(shown, 5)
    until(page, "document.querySelectorAll('.tail-box [data-event]').length === 5")
    press(page, "Space")
    wait(page, ".summary", "paused")
    fresh(shown, 7)
    wait(page, ".news", "7 new")
    press(page, "k", "k")
    assert "GET /orders/4" in focused(page)
    press(page, "Enter")
    wait(page, ".tail-box .details")
    press(page, "End")
    page.wait_for_selector(".news", state="detached")
    until(page, "document.querySelectorAll('.tail-box [data-event]').length === 12")
    press(page, "j", "c")
    address(page, "/e/")


def test_a_time_is_chosen_in_its_menu(visit: Visit) -> None:
    page = visit.go("/search")
    tab_to(page, "Time: Last 15 min")
    press(page, "Enter")
    tab_to(page, "INPUT")
    page.keyboard.type("45m")
    press(page, "Enter")
    address(page, "last=45m")


def test_a_panel_and_its_numbers_are_reached_with_tab(visit: Visit) -> None:
    page = visit.go("/panels")
    wait(page, ".catalogue a")
    tab_to(page, "Latency per worker")
    press(page, "Enter")
    address(page, "/panels/latency")
    wait(page, ".plot .line path")
    tab_to(page, "Show as table")
    press(page, "Enter")
    wait(page, ".chart table th", "p95")
