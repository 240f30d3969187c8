"""Every feature of the page in a real Chromium, by mouse."""

import json
import re
from typing import Any

import httpx

from logship.forensics.reproduce.curl import curl as command_of
from logship.forensics.reproduce.request import reproduction
from logship.search.views import BY_NAME
from tests.page.browsing import Visit, settled, until, wait
from tests.page.conftest import Shown

# What a panel is when it has been answered; a line of one value has no height, and counts as hidden.
DRAWN = ".plot .bars path, .plot .line path, .share, .events li, .notice, form.question input[name=id]"


def address(page: Any, pattern: str) -> None:
    page.wait_for_url(re.compile(pattern))


def total(page: Any) -> int:
    """How many events the chart counts."""
    return int(wait(page, "figcaption h2", re.compile(r"[\d,]+ events?$")).inner_text().split()[0].replace(",", ""))


def test_the_overview_names_who_died_who_is_slow_and_who_has_too_much(visit: Visit) -> None:
    page = visit.go("/")
    wait(page, ".stands p", "compared with 0 from")
    for said in ("w3 crashed", "w1 is slower", "Slowest routes here", "Traffic is unbalanced", "/checkout failed"):
        wait(page, ".stands li", said)
    assert page.locator(".stands li", has_text="w3 crashed").count() == 1
    assert page.locator(".stands li").count() >= 4
    assert page.locator(".lane .plot").count() == 4
    wait(page, ".badge", re.compile("complete|end unknown"))
    for panel in ("Share per worker", "Slowest routes", "Newest failures"):
        wait(page, "h2", panel)


def test_the_overview_is_read_with_one_request(visit: Visit) -> None:
    page = visit.go("/?since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z")
    wait(page, ".stands li", "crashed")
    wait(page, ".badge", re.compile("complete|end unknown"))
    paths = [httpx.URL(url).path for url in visit.asked]
    assert paths.count("/api/overview") == 1
    # Beside it: the delivery check, damaged files, the services for their selector, the marks of versions on the lanes, and the
    # comparison with the time before.
    allowed = {"/api/overview", "/api/verify", "/api/set_aside", "/api/top", "/api/marks", "/api/incident"}
    assert {path for path in paths if path.startswith("/api/")} <= allowed


def test_from_a_death_to_what_was_in_flight_by_clicking_only(visit: Visit) -> None:
    page = visit.go("/")
    wait(page, ".stands .pill", "GET /report").click()
    address(page, r"/r/dead0")
    wait(page, ".notice", "This request was interrupted")
    wait(page, ".notice a", "w3").click()
    address(page, r"/w/host-7/8000/w3")
    wait(page, ".bad-edge th", "GET /export")
    wait(page, "td", "crashed")
    assert page.locator("section", has_text="Process history").locator("tbody tr").count() == 2


def test_from_a_slow_worker_to_the_reason_by_clicking_only(visit: Visit) -> None:
    page = visit.go("/")
    wait(page, ".stands a", "Its slowest requests").click()
    address(page, r"/search\?.*event.duration")
    wait(page, ".row", "GET /orders/").click()
    wait(page, ".details a", "Open request").click()
    address(page, r"/r/")
    wait(page, "h2", "Where its time went")
    wait(page, "h2", "Other requests on w1")


def test_a_bar_opens_the_requests_behind_it(visit: Visit, shown: Shown) -> None:
    page = visit.go("/")
    plot = page.locator(".lane .plot").nth(3)
    wait(page, ".lane .bars path")
    across = plot.bounding_box()["width"] * 0.3
    # The lane may be below the window's edge or move while the page loads: each step looks where it is now.
    until_said = page.locator(".said", has_text="w3:")
    for step in range(200):
        plot.hover(position={"x": across, "y": 20 + step % 2}, force=True)
        if until_said.count():
            break
        page.wait_for_timeout(50)
    said = until_said.inner_text()
    plot.click(position={"x": across, "y": 20}, force=True)
    address(page, r"/search\?.*since=")
    expected = int(re.search(r"w3: (\d+) request", said)[1])  # type: ignore[index]
    assert total(page) == expected
    assert "host-7/8000/w3" in page.locator("[data-question]").input_value()


def test_a_question_narrows_chart_list_and_export_alike(visit: Visit, shown: Shown) -> None:
    page = visit.go("/search")
    before = total(page)
    page.fill("[data-question]", "http.response.status_code >= 500 and url.path: /checkout")
    page.click("button:has-text('Search')")
    address(page, r"q=http")
    until(page, f"!document.querySelector('figcaption h2').textContent.startsWith('{before:,} ')")
    found = total(page)
    assert 0 < found < before
    until(page, f"document.querySelectorAll('.events > li').length === {found}")
    page.click("summary:has-text('Export')")
    with page.expect_download() as download:
        page.click(".export a:has-text('NDJSON')")
    assert len(download.value.path().read_text().splitlines()) == found


def test_what_is_wrong_with_a_question_is_pointed_at(visit: Visit) -> None:
    page = visit.go("/search?q=" + "status%3A%20(200")
    wrong = wait(page, ".wrong")
    assert "expected" in wrong.inner_text()
    assert page.locator("[data-question]").get_attribute("aria-invalid") == "true"
    assert page.locator(".wrong mark").count() == 1


def test_fields_and_their_values_are_completed_with_counts(visit: Visit) -> None:
    page = visit.go("/search")
    page.click("[data-question]")
    page.keyboard.type("http.resp")
    wait(page, ".offers li", "http.response.status_code").click()
    wait(page, ".offers li", re.compile(r"500\s*\d+"))
    page.locator(".offers li", has_text=re.compile(r"^500")).click()
    assert page.locator("[data-question]").input_value().strip() == "http.response.status_code: 500"


def test_the_list_shows_details_columns_and_narrows_by_a_value(visit: Visit) -> None:
    page = visit.go("/search?q=event.dataset:%20logship.request")
    page.locator("button[aria-label='Column http.request.method']").click()
    wait(page, ".heads .c-chosen", "http.request.method")
    address(page, "cols=http.request.method")
    row = wait(page, ".row[data-event]", "POST")
    row.click()
    address(page, "event=")
    details = wait(page, ".details")
    assert details.locator("th", has_text="service.ephemeral_id").count() == 1
    details.locator("tr", has_text="http.request.method").locator("button[aria-label^='All but']").click()
    address(page, "not")
    settled(page)
    assert page.locator(".row[data-event]", has_text="POST").count() == 0


def test_the_field_panel_shows_values_with_shares_and_numbers_as_a_histogram(visit: Visit) -> None:
    page = visit.go("/search?q=event.dataset:%20logship.request")
    page.click(".panel button.name:has-text('service.node.name')")
    wait(page, ".values li", "host-7/8000/w3")
    assert "%" in page.locator(".values li").first.inner_text()
    page.click(".panel button.name:has-text('event.duration')")
    wait(page, ".spread", "p99")
    page.click(".panel button.name:has-text('service.node.name')")
    page.locator(".values li", has_text="w1").locator("button[aria-label^='Only']").click()
    address(page, "w1")
    until(page, "[...new Set([...document.querySelectorAll('.events .c-worker')].map(e => e.textContent))].join() === 'w1'")


def test_dragging_over_the_chart_looks_closer(visit: Visit) -> None:
    page = visit.go("/search")
    before = total(page)
    box = page.locator(".plot").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 30, steps=5)
    page.mouse.up()
    address(page, r"since=.*until=")
    page.wait_for_selector(".chart:not([aria-busy=true])")
    settled(page)
    assert 0 < total(page) < before / 2


def test_a_chart_is_also_a_table_with_the_same_total(visit: Visit) -> None:
    page = visit.go("/search")
    expected = total(page)
    page.click("figcaption button:has-text('Show as table')")
    cells = wait(page, ".chart table").locator("tbody tr td:last-child").all_inner_texts()
    assert sum(int(cell.replace(",", "")) for cell in cells) == expected


def test_one_request_has_its_waterfall_its_lines_its_curl_and_its_failure(visit: Visit, shown: Shown) -> None:
    found = httpx.get(f"{shown.url}/api/search", params={"q": "error.type: *", "limit": 1}, timeout=30).json()
    request = found["records"][0]["http.request.id"]
    page = visit.go(f"/r/{request}")
    wait(page, "h1", "/checkout")
    wait(page, ".waterfall rect")
    wait(page, ".lines li", "order placed")
    wait(page, ".card", "PaymentDeclined")
    assert not page.locator(".trace pre").first.is_visible()
    page.locator(".trace summary").first.click()
    assert page.locator(".trace pre").first.is_visible()
    curl = wait(page, ".curl", "curl").inner_text()
    assert curl == command_of(reproduction(found["records"][0]))
    assert curl.startswith("curl --request POST http://shop.example/checkout")
    wait(page, ".card p", "Not recorded, and so not in the command: the port (that of the scheme is assumed);")
    assert "cookies; the body (53 B)" in page.locator(".card p", has_text="Not recorded").inner_text()
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("button:has-text('Copy as cURL')")
    wait(page, "button", "copied")
    assert page.evaluate("navigator.clipboard.readText()") == curl
    page.locator(".neighbours li").nth(1).wait_for()
    page.locator(".neighbours li:not(.this) a").first.click()
    page.wait_for_url(lambda url: request not in url)


def test_a_worker_has_lanes_lives_slow_requests_and_an_account(visit: Visit) -> None:
    page = visit.go("/w/host-7/8000/w1")
    wait(page, "h1", "Worker w1")
    wait(page, ".plot .line-p99 path")
    wait(page, ".slow li", "GET /orders/")
    # The story's workers fall silent when it is over.
    wait(page, "td", re.compile(r"all \d+ events are stored|are unknown"))
    page.click(".actions a:has-text('Failures')")
    address(page, r"/search\?q=service.node.name")


def test_the_badge_opens_the_account(visit: Visit) -> None:
    page = visit.go("/search")
    # The story's workers fall silent when it is over.
    wait(page, ".badge", re.compile("complete|end unknown")).click()
    address(page, "/account")
    wait(page, "tbody tr", "crashed")
    assert page.locator("tbody tr").count() == 5


def test_around_an_event_its_worker_or_all(visit: Visit, shown: Shown) -> None:
    found = httpx.get(f"{shown.url}/api/search", params={"q": "event.action: worker-lost"}, timeout=30).json()
    page = visit.go(f"/e/{found['records'][0]['event.id']}")
    wait(page, ".context .row", "worker lost")
    assert set(page.locator(".context .events .c-worker").all_text_contents()) == {"w3"}
    page.click("button:has-text('all workers')")
    address(page, "workers=all")
    until(page, "new Set([...document.querySelectorAll('.context .events .c-worker')].map(e => e.textContent)).size > 1")


def test_time_zone_and_window_are_in_the_address(visit: Visit) -> None:
    page = visit.go("/search")
    page.click("button.zone")
    address(page, "zone=local")
    page.click(".time summary")
    page.click(".time .pill:has-text('1h')")
    address(page, "last=1h")
    page.click("button[aria-label='Earlier']")
    address(page, r"since=.*&until=|until=.*&since=")
    page.click(".time summary")
    page.fill(".time input[name=last]", "45m")
    page.click("button:has-text('Apply')")
    address(page, "last=45m")


def test_a_live_overview_can_be_held_still(visit: Visit) -> None:
    page = visit.go("/")
    wait(page, "button.live", "Live").click()
    address(page, "since=")
    wait(page, "button.live", "Paused").click()
    page.wait_for_url(lambda url: "since=" not in url)


def test_every_panel_of_the_catalogue_is_reached_by_its_name(visit: Visit) -> None:
    page = visit.go("/panels")
    for name in (one for one in BY_NAME if not one.startswith("dropped-")):
        page.click(f"a[href='/panels/{name}']")
        address(page, f"/panels/{name}($|\\?)")
        wait(page, "h1", BY_NAME[name].title)
        until(page, f"document.querySelector('main').querySelector('{DRAWN}') !== null")
        page.click("nav a:has-text('Panels')")
        wait(page, "h1", re.compile("^Panels$"))
    assert visit.complaints == []


def test_a_panel_narrows_to_one_request(visit: Visit, shown: Shown) -> None:
    page = visit.go("/panels/story")
    found = httpx.get(f"{shown.url}/api/search", params={"q": "error.type: *", "limit": 1}, timeout=30).json()
    page.fill("input[name=id]", found["records"][0]["http.request.id"])
    page.click("main button:has-text('Show')")
    wait(page, ".events .row", "order placed")


def test_links_live_longer_than_the_process_and_the_files(visit: Visit, shown: Shown) -> None:
    page = visit.go("/search?q=event.action:%20worker-lost")
    wait(page, ".row[data-event]").click()
    address(page, "event=")
    permalink = page.url
    shown.cut()
    shown.store.seal()
    shown.start()
    page.goto(permalink)
    wait(page, ".details th", "logship.in_flight.requests")


def test_a_collector_that_is_gone_is_said_and_found_again(visit: Visit, shown: Shown) -> None:
    page = visit.go("/")
    wait(page, ".stands li")
    shown.cut()
    try:
        wait(page, ".notice", "is unreachable")
    finally:
        shown.start()
    page.wait_for_selector(".notice:has-text('is unreachable')", state="detached")


def test_an_empty_time_says_what_to_do(visit: Visit) -> None:
    page = visit.go("/?since=2020-01-01T00:00:00Z&until=2020-01-01T01:00:00Z")
    wait(page, ".notice", "logship run uvicorn")
    page.click(".notice .pill:has-text('last 24h')")
    address(page, "last=24h")
    wait(page, ".lane")


def test_an_id_or_a_place_that_is_not_there_is_said(visit: Visit) -> None:
    wait(visit.go("/r/nobody"), "main", "No event, request or trace")
    wait(visit.go("/e/nobody"), "main", "No event has the id")
    wait(visit.go("/panels/nothing"), "main", "No such panel")


def test_nothing_comes_from_elsewhere_and_nothing_is_left_behind(visit: Visit, shown: Shown) -> None:
    for path in ("/", "/search", "/tail", "/account", "/panels", "/errors", "/patterns", "/w/host-7/8000/w3"):
        settled(visit.go(path)) if path != "/tail" else visit.go(path)
    assert visit.asked
    assert [url for url in visit.asked if not url.startswith(shown.url)] == []
    assert visit.context.cookies() == []
    assert visit.page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
    assert visit.complaints == []


def test_without_javascript_one_can_search_list_and_export(chromium: Any, shown: Shown) -> None:
    visit = Visit(chromium, shown.url, java_script_enabled=False)
    page = visit.page
    page.goto(f"{shown.url}/search?q=http.response.status_code:%20500")
    address(page, r"/plain\?q=http")
    wait(page, "td", "POST /checkout 500")
    page.fill("input[name=q]", "event.action: worker-lost")
    page.click("button:has-text('Search')")
    wait(page, "td", "worker lost with 3 requests")
    with page.expect_download() as download:
        page.click("a:has-text('NDJSON')")
    assert json.loads(download.value.path().read_text())["event.action"] == "worker-lost"
    assert visit.complaints == []
    visit.close()
