"""The tail misses nothing, shows nothing twice, and does not move under the eyes of who reads."""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import PROVE
from tests.page.browsing import Visit, until, wait
from tests.page.conftest import Shown, event

HEAP_LIMIT_BYTES = 150_000_000
SECONDS, PER_SECOND = (60, 500) if PROVE else (3, 300)
IDS = "[...document.querySelectorAll('.tail-box [data-event]')].map(e => e.dataset.event)"


@pytest.fixture
def follower(chromium: Any, shown: Shown) -> Iterator[Visit]:
    visit = Visit(chromium, shown.url)
    # What the stream brings is noted beside the page, to be compared with the store.
    visit.page.add_init_script(
        "window.came = []; const Real = EventSource; window.EventSource = class extends Real { constructor(url) {"
        " super(url); this.addEventListener('message', m => window.came.push(JSON.parse(m.data)['event.id'])); } };"
    )
    visit.go("/tail")
    wait(visit.page, ".summary", "following")
    yield visit
    visit.close()


def fresh(shown: Shown, count: int) -> list[str]:
    """Store so many new events; their ids."""
    life = os.urandom(12).hex()
    now_ns = time.time_ns()
    events = [event(n, now_ns + n, **{"event.id": f"{life}-{n:012d}", "service.ephemeral_id": life}) for n in range(1, count + 1)]
    shown.store.append(events)
    return [str(record["event.id"]) for _, record in events]


def received(page: Any, count: int) -> None:
    until(page, f"+document.querySelector('[data-received]').dataset.received >= {count}")


def test_new_events_are_shown_in_order_and_the_end_is_followed(follower: Visit, shown: Shown) -> None:
    page = follower.page
    ids = fresh(shown, 150)
    until(page, f"document.querySelectorAll('.tail-box [data-event]').length === {len(ids)}")
    assert page.evaluate(IDS) == ids
    until(page, "(b => b.scrollHeight - b.scrollTop - b.clientHeight < 5)(document.querySelector('.tail-box'))")


@pytest.mark.parametrize("how", ["scroll", "select", "pause", "open"])
def test_it_holds_still_and_counts_what_waits(follower: Visit, shown: Shown, how: str) -> None:
    page = follower.page
    before = fresh(shown, 150)
    until(page, f"document.querySelectorAll('.tail-box [data-event]').length === {len(before)}")
    until(page, "(b => b.scrollHeight - b.scrollTop - b.clientHeight < 5)(document.querySelector('.tail-box'))")
    if how == "scroll":
        page.evaluate("document.querySelector('.tail-box').scrollTop = 300")
    elif how == "select":
        page.evaluate("getSelection().selectAllChildren(document.querySelector('.tail-box li:last-child .c-message'))")
    elif how == "pause":
        page.keyboard.press("Space")
    else:
        page.locator(".tail-box .row").last.click()
    page.wait_for_timeout(300)
    at = page.evaluate("document.querySelector('.tail-box').scrollTop")
    after = fresh(shown, 128)
    wait(page, ".news", "128 new ↓")
    assert page.evaluate("document.querySelector('.tail-box').scrollTop") == at
    assert page.evaluate(IDS) == before
    page.click(".news")
    until(page, f"document.querySelectorAll('.tail-box [data-event]').length === {len(before) + len(after)}")
    assert page.evaluate(IDS) == before + after
    page.wait_for_selector(".news", state="detached")


def test_after_a_cut_it_goes_on_where_it_was(follower: Visit, shown: Shown) -> None:
    page = follower.page
    ids = fresh(shown, 20)
    received(page, 20)
    shown.cut()
    ids += fresh(shown, 30)
    wait(page, ".summary", "disconnected")
    shown.start()
    received(page, 50)
    assert page.evaluate(IDS) == ids


def test_a_question_filters_the_stream_and_a_wrong_one_is_told(follower: Visit, shown: Shown) -> None:
    page = follower.page
    page.fill("[data-question]", "http.response.status_code: 500")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=http*")
    wait(page, ".summary", "following")
    fresh(shown, 40)
    received(page, 1)
    page.wait_for_timeout(600)
    assert page.evaluate(IDS + ".length") == 1
    page.fill("[data-question]", "a: (")
    page.keyboard.press("Enter")
    wait(page, ".wrong", "expected")


def test_many_a_second_are_all_there_while_one_reads(follower: Visit, shown: Shown) -> None:
    page = follower.page
    ids = fresh(shown, 150)
    received(page, 150)
    until(page, "document.querySelectorAll('.tail-box [data-event]').length === 150")
    page.evaluate("document.querySelector('.tail-box').scrollTop = 400")
    page.wait_for_timeout(300)
    began = time.monotonic()
    for tick in range(SECONDS * 5):
        ids += fresh(shown, PER_SECOND // 5)
        page.wait_for_timeout(max(1, (began + (tick + 1) / 5 - time.monotonic()) * 1000))
    received(page, len(ids))
    took = time.monotonic() - began
    assert page.evaluate("document.querySelector('.tail-box').scrollTop") == 400
    assert sorted(page.evaluate("window.came")) == sorted(ids)
    session = follower.context.new_cdp_session(page)
    session.send("Performance.enable")
    heap = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}["JSHeapUsedSize"]
    print(f"{len(ids)} events in {took:.0f} s, JS heap {heap / 1e6:.1f} MB, all there, scroll position held")
    assert heap < HEAP_LIMIT_BYTES
    page.click(".news")
    until(page, f"({IDS}).at(-1) === '{ids[-1]}'")
