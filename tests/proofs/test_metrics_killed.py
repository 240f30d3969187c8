"""Four workers and 20 kills -9: every counter is what the clients counted, and no series of a killed worker stays.

First each kill hits a worker whose requests are known, so that every number is exact. Then workers die at random moments under
load: a request that was on its way to a worker, or back from it, may have been counted or not."""

import http.client
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from logship.prometheus.exposition import expose, worker_registry
from logship.prometheus.families import GAUGES
from tests.worker.metrics.scraping import WORKERS, Client, running, start, wait_replaced
from tests.worker.metrics.test_metrics import samples, total
from tests.worker.serving import Server, until

KILLS = 20
RUNNING = 8
ROUTES = ("/order/{id}", "/slow", "/stock")
GAUGE_NAMES = {gauge.name for gauge in GAUGES} | {"logship_build_info", "queue_depth", "open_carts"}

pytestmark = [pytest.mark.prove, pytest.mark.timeout(1800)]


@contextmanager
def serving(folder: Path) -> Iterator[Client]:
    server, port = start(folder)
    with server:
        server.wait_ready(WORKERS)
        client = Client(server, port)
        wait_replaced(client)
        yield client
        client.close()


def gauges_of(text: str, slot: int) -> set[str]:
    """Return the names of the gauges that an exposition has for a worker."""
    return {name for name, labels in samples(text) if name in GAUGE_NAMES and ("worker", f"w{slot}") in labels}


def kill_one(client: Client) -> float:
    """Kill a worker that may have requests in flight, among others that go on; return the seconds until its gauges were gone."""
    client.orders(40)
    begun = client.begin_slow(RUNNING, 2.0, running)
    slot = random.randrange(WORKERS)
    assert len(gauges_of(client.exposition(), slot)) > 10
    client.kill(slot)
    began = time.monotonic()
    until(lambda: not gauges_of(client.exposition(), slot), f"the end of the gauges of w{slot}")
    gone = time.monotonic() - began
    client.orders(20)  # while the worker is away
    client.settle([client.submit("/stock", "/stock") for _ in range(5)])
    client.settle(begun)
    wait_replaced(client)
    return gone


def check_counters(text: str, client: Client) -> None:
    """Compare every counter of requests, crashes and of the application with what the clients counted."""
    answered, orders = client.answered, client.answered["/order/{id}"]
    for route in ROUTES:
        for name in ("http_server_request_duration_seconds_count", "http_server_response_body_size_bytes_count"):
            assert total(text, name, http_route=route) == answered[route], (name, route)
        assert (
            total(text, "http_server_request_duration_seconds_bucket", http_route=route, le="+Inf") == answered[route]
        )
    assert total(text, "http_server_response_body_size_bytes_sum") == client.received_bytes
    assert total(text, "logship_worker_requests_total") == sum(answered.values()) + client.lost
    assert total(text, "logship_worker_requests_total", reason="complete") == sum(answered.values())
    assert total(text, "logship_worker_requests_total", reason="lost") == client.lost
    assert total(text, "logship_worker_deaths_total") == client.kills
    assert total(text, "logship_worker_restarts_total") == client.kills
    assert total(text, "orders_total", kind="book") == orders
    assert (total(text, "basket_euros_count"), total(text, "basket_euros_sum")) == (orders, 20 * orders)


def check_events(server: Server, client: Client) -> None:
    """The events say the same as the counters."""
    until(lambda: len(server.actions("worker-lost")) == client.kills, "the reports of all crashes")
    until(lambda: server.requests().total() >= sum(client.answered.values()), "the events of all requests")
    requests = server.requests()
    assert set(requests.values()) == {1}
    assert len(requests) == sum(client.answered.values())
    assert sum(event["logship.in_flight.count"] for event in server.actions("worker-lost")) == client.lost


def after_the_end(server: Server) -> str:
    """Return what a scrape shows when the service has been stopped."""
    server.stop(signal.SIGINT)
    return expose(worker_registry(server.state), "", "").body.decode()


def test_every_counter_is_what_the_clients_counted_through_kills(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        began = time.monotonic()
        gone = [kill_one(client) for _ in range(KILLS)]
        until(lambda: total(client.exposition(), "logship_worker_deaths_total") == KILLS, "the deaths")
        text = client.exposition()
        check_counters(text, client)
        check_events(client.server, client)
        assert total(text, "http_server_active_requests") == 0
        assert total(text, "logship_worker_up") == WORKERS
        text = after_the_end(client.server)
        check_counters(text, client)
        assert [gauges_of(text, slot) for slot in range(WORKERS)] == [set()] * WORKERS
        print(
            f"\nmetrics: {WORKERS} workers, {KILLS} kills -9 in {time.monotonic() - began:.0f} s: "
            f"{sum(client.answered.values()):,} requests answered, {client.lost} lost; every counter equal; gauges of a killed "
            f"worker gone within {max(gone):.2f} s"
        )


class Load:
    """Connections that are always busy, with requests of 0 to 50 ms: it counts answered requests, and those that failed."""

    def __init__(self, client: Client, connections: int) -> None:
        self.failed = 0
        self._client = client
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(connections)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                if random.random() < 0.5:
                    self._client.get("/order/{id}", "/order/1")
                else:
                    self._client.get("/slow", f"/slow?seconds={random.uniform(0, 0.05):.3f}")
            except (OSError, http.client.HTTPException):
                with self._lock:
                    self.failed += 1


def kill_at_random(client: Client) -> None:
    """Kill a worker at a random moment, if at least two others run."""
    time.sleep(random.uniform(0.5, 3))
    until(lambda: total(client.exposition(), "logship_worker_up") > WORKERS / 2, "more workers")
    up = [slot for slot in range(WORKERS) if gauges_of(client.exposition(), slot)]
    client.kill(random.choice(up))


def test_kills_at_random_moments_lose_and_double_no_count(tmp_path: Path) -> None:
    with serving(tmp_path) as client:
        with Load(client, 16) as load:
            for _ in range(KILLS):
                kill_at_random(client)
        until(lambda: total(client.exposition(), "logship_worker_restarts_total") == KILLS, "the replacements")
        until(lambda: total(client.exposition(), "logship_worker_deaths_total") == KILLS, "the deaths")
        text = client.exposition()
    answered = sum(client.answered.values())
    counted = total(text, "logship_worker_requests_total")
    complete = total(text, "logship_worker_requests_total", reason="complete")
    lost = total(text, "logship_worker_requests_total", reason="lost")
    # A connection that a worker accepted and did not read yet is lost for its client, and no request for the worker.
    assert answered <= counted <= answered + load.failed
    # A worker may die between the last byte of a response and the count of it, which then says that it was lost.
    assert answered - KILLS <= complete <= answered
    assert total(text, "http_server_active_requests") == 0
    print(
        f"\nmetrics: {KILLS} kills -9 at random moments: clients counted {answered:,} answered and {load.failed} failed "
        f"requests; the metrics {complete:,.0f} complete, {lost:,.0f} lost and {counted - complete - lost:,.0f} others"
    )
