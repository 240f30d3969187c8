"""The whole line with real programs: a shop under uvicorn, its clients, Fluent Bit, Elasticsearch; and what it must come to."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from logship.elastic import mapping
from tests.elastic.node import Server
from tests.pipelines.agent import Agent, to_elastic
from tests.proofs.scene import Load, Notes, Shop, until

DRAIN_SECONDS = 150.0


class Line:
    """A shop of `workers`, loaded while `play` runs, its events on their way into `namespace`."""

    def __init__(
        self, folder: Path, elastic: Server, namespace: str, workers: int, think_seconds: float = 0.03
    ) -> None:
        self.elastic, self.stream = elastic, mapping.stream(namespace)
        self.agent = Agent(folder, to_elastic(elastic, namespace))
        self.shop = Shop(
            folder, f"127.0.0.1:{self.agent.port}", workers, folder / "state", LOGSHIP_ACK_TIMEOUT_SECONDS="2"
        )
        self.load = Load(self.shop.port, 16, think_seconds)
        self.notes = Notes()
        self.documents: list[dict[str, Any]] = []
        self.drained_seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Everything is there and under load inside; afterwards the shop is closed and every event is stored."""
        with self.agent:
            self.agent.wait_ready()
            with self.shop:
                self.shop.wait_ready()
                with self.load:
                    yield
                    time.sleep(0.3)
                self.shop.stop()
                # Only now: a request that a client had sent when it was stopped may begin after that.
                self.notes = self.shop.notes()
            begun = time.monotonic()
            self._drain()
            self.drained_seconds = time.monotonic() - begun

    def _drain(self) -> None:
        """Wait until every life of which there is an event has all of them."""
        told = 0

        def there() -> bool:
            nonlocal told
            found = self.elastic.count(self.stream)
            if found != told or not found:
                told = found
                return False
            return not self.missing()

        until(there, lambda: f"{self.missing()} of {told}\n{self.agent.said()}", DRAIN_SECONDS)

    def missing(self) -> dict[str, object]:
        """What is not stored yet, by life; and the requests that ended and are not there."""
        self.documents = [hit["_source"] | {"_id": hit["_id"]} for hit in self.elastic.hits(self.stream)]
        lives: defaultdict[str, set[int]] = defaultdict(set)
        last: dict[str, int] = {}
        for one in self.documents:
            life = one["service.ephemeral_id"]
            lives[life].add(one["event.sequence"])
            if one.get("event.action") in {"worker-closed", "worker-lost", "worker-ended"}:
                last[life] = max(last.get(life, 0), one["logship.emitted"])
        wrong: dict[str, object] = {}
        for life, sequences in lives.items():
            gaps = set(range(1, max(last.get(life, 0), *sequences) + 1)) - sequences
            if gaps or life not in last:
                wrong[life] = f"{len(gaps)} missing" if gaps else "no end"
        unheard = self.notes.ended - self.requests().keys()
        return wrong | ({"requests": len(unheard)} if unheard else {})

    def requests(self) -> Counter[str]:
        """How many events tell the end of each request."""
        return Counter(one["http.request.id"] for one in self.documents if one.get("event.action") == "http-request")

    def check(self) -> None:
        """Every event once, under its own id; every call of the application and every request there."""
        assert {one["_id"] for one in self.documents} == {one["event.id"] for one in self.documents}
        assert len({one["event.id"] for one in self.documents}) == len(self.documents)
        assert set(self.requests().values()) == {1}
        steps = Counter(
            (one["http.request.id"], int(one["numeric_labels"]["step"]))
            for one in self.documents
            if one["event.dataset"] == "logship.app" and "step" in one.get("numeric_labels", {})
        )
        assert set(steps.values()) == {1}
        assert not self.notes.logged - steps.keys()
        named = {name for one in self.documents for name in one.get("logship.in_flight.ids", [])}
        assert not self.notes.begun.keys() - self.requests().keys() - named

    def told(self, what: str) -> str:
        """One sentence with the numbers."""
        workers = len({one["service.ephemeral_id"] for one in self.documents})
        return (
            f"\n{what}: {len(self.load.asked)} requests of {workers} lives, {len(self.documents)} events stored, each once; "
            f"all there {self.drained_seconds:.1f} s after the shop had closed"
        )


def play(line: Line, what: Callable[[], None], title: str) -> None:
    """Run the line while `what` happens, and hold it to account."""
    with line.running():
        what()
    line.check()
    print(line.told(title))
