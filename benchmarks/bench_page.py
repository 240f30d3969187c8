"""Measure how long views of the page take in Chromium on a large store, compared with their queries alone.

python benchmarks/bench_page.py [--events 1000000] [--dir KEPT]. The store is sealed and on disk. Another process serves the page
over loopback, and each view is loaded in a new profile. Times are from the navigation until the listed elements are in the
document. The first row is the minimum: a page with one word and no query. The server keeps the comparison of a window for
a minute: of the row "what stands out, compared", the worst time is that of the first visit, which made it."""

import argparse
import asyncio
import contextlib
import multiprocessing
import socket
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from logship.store.write.store import Store
from tests.page import browsing
from tests.page.story import story

ROUNDS = 5
# Selectors of the elements that must all be in the document.
VIEWS = {
    "one word": ("/healthz", ["pre"]),
    "first list": ("/search?{day}", [".row[data-event]"]),
    "overview, 15 minutes": ("/?{quarter}", [".lane .bars path", ".totals strong:not(:empty)", ".share"]),
    "what stands out, compared": ("/?{quarter}", [".stands p > span.soft"]),
    "overview, all": ("/?{day}", [".lane .bars path", ".totals strong:not(:empty)", ".share"]),
}
WATCH = """
window.there = null;
window.watch = selectors => {
  const there = () => selectors.every(one => document.querySelector(one));
  const look = () => { if (window.there === null && there()) window.there = performance.now(); };
  new MutationObserver(look).observe(document, {childList: true, subtree: true}); look(); };
window.watch(%s);
"""


def serve(directory: str, listener: socket.socket) -> None:
    """Serve the page in another process, as `logship up` does."""
    import uvicorn

    from logship.page.app import app
    from logship.store.read.reader import Reader

    config = uvicorn.Config(app(Reader(Path(directory))), log_config=None, lifespan="off", ws="none", http="h11")
    asyncio.run(uvicorn.Server(config).serve([listener]))


def fill(directory: Path, events: int) -> int:
    """Store about this many events of a day, with normal traffic in the last 15 minutes; return their number."""
    end_ns, stored = time.time_ns(), 0
    with Store(directory) as store:
        parts = max(1, events // 100_000)
        for part in range(parts):
            some = story(end_ns - part * 3600 * 10**9 // 2, int(events / parts / 1.21), minutes=30)
            for at in range(0, len(some), 5000):
                stored += store.append([(ns, of_part(part, record)) for ns, record in some[at : at + 5000]]).stored
        store.seal()
    return stored


def of_part(part: int, record: dict[str, Any]) -> dict[str, Any]:
    """Return the same event as one of another run: each part has different ids."""
    return record | {name: f"{part:02x}{record[name][2:]}" for name in ("event.id", "service.ephemeral_id")}


def place(url: str, view: str) -> str:
    """Return the address of a view whose window ends at the newest event, because the store may be old."""
    newest = httpx.get(f"{url}/api/search", params={"limit": 1}, timeout=60).json()["records"][0]["@timestamp"]
    end = datetime.fromisoformat(newest[:19]).replace(tzinfo=UTC) + timedelta(seconds=1)
    windows = {"day": timedelta(hours=24), "quarter": timedelta(minutes=15)}
    moment = "%Y-%m-%dT%H:%M:%SZ"
    said = {name: f"since={end - span:{moment}}&until={end:{moment}}" for name, span in windows.items()}
    return url + VIEWS[view][0].format(**said)


def questions(url: str, view: str) -> list[str]:
    """Return the first queries of a view, as its page sends them."""
    selectors = VIEWS[view][1]
    with browsing.chromium() as browser:
        visit = browsing.Visit(browser, url)
        visit.page.goto(place(url, view))
        for one in selectors:
            visit.page.wait_for_selector(one, state="attached")
        return sorted(one for one in visit.asked if "/api/" in one)


def page_ms(url: str, view: str) -> list[float]:
    """Return the milliseconds until the first content of the view, each time with an empty browser cache."""
    import json

    there, selectors = place(url, view), VIEWS[view][1]
    times = []
    with browsing.chromium() as browser:
        for _ in range(ROUNDS):
            visit = browsing.Visit(browser, url)
            visit.page.add_init_script(WATCH % json.dumps(selectors))
            visit.page.goto(there)
            browsing.until(visit.page, "window.there !== null")
            times.append(float(visit.page.evaluate("window.there")))
            visit.close()
    return times


def alone_ms(url: str, asked: list[str]) -> tuple[float, float]:
    """Return the milliseconds of the queries without a browser: one after the other, and all at once."""

    async def both() -> tuple[float, float]:
        async with httpx.AsyncClient(timeout=60) as client:
            began = time.perf_counter()
            for one in asked:
                await client.get(one)
            middle = time.perf_counter()
            await asyncio.gather(*(client.get(one) for one in asked))
            return (middle - began) * 1000, (time.perf_counter() - middle) * 1000

    if not asked:
        return 0.0, 0.0
    rounds = [asyncio.run(both()) for _ in range(ROUNDS)]
    return statistics.median(one for one, _ in rounds), statistics.median(all_ for _, all_ in rounds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--dir", type=Path)
    given = parser.parse_args()
    with contextlib.ExitStack() as closing:
        directory = given.dir or Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="logship-bench-page-")))
        began = time.perf_counter()
        if (directory / "store").exists():
            print(f"the store in {directory} as it is")
        else:
            stored = fill(directory / "store", given.events)
            print(f"{stored} events stored and sealed in {time.perf_counter() - began:.0f} s")
        listener = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        process: Any = multiprocessing.get_context("spawn").Process(target=serve, args=(str(directory / "store"), listener))
        process.start()
        closing.callback(process.join)
        closing.callback(process.kill)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        print(f"{'view':24}{'median ms':>12}{'worst ms':>12}{'questions':>12}{'alone, ms':>12}{'at once, ms':>13}")
        for view in VIEWS:
            asked = questions(url, view)
            times = page_ms(url, view)
            one, all_ = alone_ms(url, asked)
            print(f"{view:24}{statistics.median(times):12.0f}{max(times):12.0f}{len(asked):12}{one:12.0f}{all_:13.0f}")


if __name__ == "__main__":
    main()
