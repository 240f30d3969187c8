"""The page behind a real uvicorn on port 0, over a real store with a few events."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn

from logship.page.app import app
from logship.page.client import HttpSource
from logship.page.context import PageContext
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.page import browsing
from tests.page.story import story

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LIFE = "5ca1ab1e0ddba11cafef00d5"


def event(number: int, ns: int, **more: object) -> tuple[int, dict[str, object]]:
    record: dict[str, object] = {
        "event.id": f"{LIFE}-{number:012d}",
        "event.sequence": number,
        "event.dataset": "logship.request",
        "event.action": "http-request",
        "event.duration": number * 1_000_000,
        "service.name": "shop",
        "service.node.name": "host/shop/w2",
        "service.ephemeral_id": LIFE,
        "logship.worker.slot": 2,
        "logship.worker.generation": 1,
        "process.pid": 4711,
        "http.request.id": f"request-{number}",
        "http.response.status_code": 500 if number == 3 else 200,
        "message": f"GET /orders/{number} <script>alert(1)</script>",
        **more,
    }
    return ns, record


class Served:
    """A running page: `url`, and the store behind it to put more into."""

    def __init__(self, directory: Path, context: PageContext, asked: Path | None = None) -> None:
        self.store = Store(directory)
        self.now_ns = time.time_ns()
        self.store.append([event(number, self.now_ns - (10 - number) * 10**9) for number in range(1, 6)])
        self.reader = Reader(asked or directory)
        config = uvicorn.Config(app(self.reader, context), port=0, log_config=None, lifespan="off", ws="none")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.port: int = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.reader.close()
        self.store.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def start(context: PageContext | None = None, asked: Path | None = None) -> Served:
        started.append(Served(tmp_path / "store", context or PageContext(), asked))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    return serve()


@pytest.fixture
def far(served: Served) -> HttpSource:
    return HttpSource(served.url)


class Shown:
    """The page over a store that `fill` has filled; it can be cut off and come back on the same port."""

    def __init__(self, directory: Path, fill: Callable[[Store, int], object]) -> None:
        self.directory, self.store = directory, Store(directory)
        self.now_ns = time.time_ns()
        fill(self.store, self.now_ns)
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listen: first on any port, then on the same one again."""
        self.reader, self._ending = Reader(self.directory), False
        context = PageContext(stopping=lambda: self._ending)
        config = uvicorn.Config(app(self.reader, context), port=self.port, log_config=None, lifespan="off", ws="none", http="h11")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Stop listening; streams end."""
        self._ending = True
        self._server.should_exit = True
        self._thread.join()
        self.reader.close()

    def close(self) -> None:
        self.cut()
        self.store.close()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The story of `story.py`."""
    one = Shown(tmp_path_factory.mktemp("shown") / "store", lambda store, now_ns: store.append(story(now_ns, 1500)))
    yield one
    one.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator["Browser"]:
    """Debian's Chromium. Of one module: while it runs, its thread has an event loop that other tests would trip over."""
    with browsing.chromium() as browser:
        yield browser


@pytest.fixture
def visit(chromium: "Browser", shown: Shown) -> Iterator["browsing.Visit"]:
    visit = browsing.Visit(chromium, shown.url)
    yield visit
    visit.close()
