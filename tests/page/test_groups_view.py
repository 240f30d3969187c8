"""The views of log patterns and of error groups in a real Chromium, by mouse and by keyboard."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from logship.search.times import rfc3339
from logship.store.write.store import Store
from tests.page.browsing import Visit, settled, until, wait
from tests.page.conftest import Shown
from tests.store.events import LIFE, Entry, event

SECOND = 10**9
MINUTE = 60 * SECOND
TRACE = 'Traceback (most recent call last):\n  File "/srv/shop/{0}.py", line 4, in {0}\n    work()\nshop.{1}: declined'


def fill(store: Store, now_ns: int) -> None:
    """Ten minutes of a window after ten minutes of a baseline: one message is new, one gone, and two errors are raised."""
    numbers = iter(range(1, 10_000))

    def at(minute: float, **fields: object) -> Entry:
        more = {"event__dataset": "logship.app", "service__name": "shop", "service__node__name": "h/shop/w1"}
        return event(next(numbers), LIFE, at_ns=now_ns - int((20 - minute) * MINUTE), **more | fields)

    entries = [at(n / 3, message="cache is warm") for n in range(1, 58)]
    entries += [at(2 + n / 50, message=f"lease {n} renewed") for n in range(40)]
    entries += [at(14 + n / 50, message=f"pool of {n} is <b>empty</b>") for n in range(50)]
    entries += [at(0.1, event__action="worker-started", event__dataset="logship.worker", service__version="1")]
    entries += [at(13, event__action="worker-started", event__dataset="logship.worker", service__version="2")]
    for n, (minute, function, kind) in enumerate([(1, "pay", "Declined"), (12, "pay", "Declined"), (15, "ship", "Lost")]):
        entries.append(
            at(
                minute, event__dataset="logship.request", event__action="http-request", http__route=f"/{function}",
                http__request__id=f"request-{n}", http__response__status_code=500, error__id=function * 8,
                error__type=f"shop.{kind}", error__message=f"{function} failed", service__version="2" if minute > 13 else "1",
                error__stack_trace=TRACE.format(function, kind), message=f"POST /{function} 500", event__duration=10**7,
            )
        )  # fmt: skip
    store.append(sorted(entries, key=lambda entry: entry[0]))


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    shown = Shown(tmp_path_factory.mktemp("groups") / "store", fill)
    yield shown
    shown.close()


@pytest.fixture
def visit(chromium: Any, groups: Shown) -> Iterator[Visit]:
    visit = Visit(chromium, groups.url)
    yield visit
    assert visit.complaints == []
    visit.close()


def window(groups: Shown) -> str:
    since, until = (rfc3339(groups.now_ns - minutes * MINUTE)[:23] for minutes in (10, 0))
    return f"since={since}Z&until={until}Z"


def test_patterns_show_what_is_new_and_lead_to_the_events(visit: Visit, groups: Shown) -> None:
    page = visit.go(f"/patterns?{window(groups)}")
    row = wait(page, ".groups li", "pool of")
    assert row.locator(".tag").inner_text() == "new"
    assert "50 events" in row.inner_text()
    assert row.locator("svg.two").get_attribute("aria-label").startswith("before 0 per minute, then ")
    assert page.locator(".groups b").count() == 0
    row.locator("a[data-row]").click()
    page.wait_for_url(re.compile(r"/search\?"))
    wait(page, "figcaption h2", re.compile("^50 events"))


def test_a_pattern_that_is_gone_leads_to_the_time_before(visit: Visit, groups: Shown) -> None:
    page = visit.go(f"/patterns?{window(groups)}")
    page.locator(".chosen-by button", has_text="gone 1").click()
    page.wait_for_url(re.compile("change=gone"))
    until(page, "document.querySelectorAll('.groups > li').length === 1")
    wait(page, ".groups a", "lease").click()
    wait(page, "figcaption h2", re.compile("^40 events"))


def test_patterns_are_of_the_query_and_of_the_chosen_baseline(visit: Visit, groups: Shown) -> None:
    page = visit.go(f"/patterns?{window(groups)}")
    wait(page, ".groups li", "cache is warm")
    page.fill("[data-question]", 'message: "pool"')
    page.click("button:has-text('Group')")
    page.wait_for_url(re.compile("q=message"))
    until(page, "document.querySelectorAll('.groups > li').length === 1")
    page.select_option("select[aria-label='Compare with']", "yesterday")
    page.wait_for_url(re.compile("baseline=yesterday"))
    wait(page, ".card p", "nothing was compared")
    page.fill("[data-question]", "message: (")
    page.click("button:has-text('Group')")
    wait(page, ".wrong", "expected")


def test_errors_are_grouped_with_what_is_new_first(visit: Visit, groups: Shown) -> None:
    page = visit.go(f"/errors?{window(groups)}")
    rows = page.locator(".groups > li")
    wait(page, ".groups li", "shop.Lost")
    assert rows.count() == 2
    assert "new since 2" in rows.first.inner_text()
    assert "ship" in rows.first.locator("code").first.inner_text()
    rows.first.locator("summary").click()
    assert rows.first.locator(".trace pre").is_visible()
    rows.nth(1).locator("a.pill", has_text="/pay").click()
    page.wait_for_url(re.compile(r"/search\?.*http.route"))
    wait(page, ".row[data-event]", "POST /pay 500")


def test_rows_are_reached_with_j_and_k_and_opened_with_enter(visit: Visit, groups: Shown) -> None:
    page = visit.go(f"/?{window(groups)}")
    page.keyboard.press("6")
    page.wait_for_url(re.compile("/errors"))
    wait(page, ".groups li", "shop.Lost")
    for key in ("j", "j", "k", "j", "j"):
        page.keyboard.press(key)
    assert "shop.Declined" in page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    wait(page, ".row[data-event]", "POST /pay 500")
    page.keyboard.press("7")
    page.wait_for_url(re.compile("/patterns"))
    wait(page, ".groups li", "pool of")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    wait(page, ".row[data-event]")


def test_a_time_without_any_says_so(visit: Visit) -> None:
    long_ago = "since=2020-01-01T00:00:00Z&until=2020-01-01T01:00:00Z"
    wait(visit.go(f"/errors?{long_ago}"), ".notice", "No exceptions")
    wait(visit.go(f"/patterns?{long_ago}"), ".notice", "No log messages")
    settled(visit.page)
