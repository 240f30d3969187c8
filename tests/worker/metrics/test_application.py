"""Metrics that an application defines with prometheus_client, over workers and restarts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.samples import Sample

from logship.prometheus import application as merged
from logship.state.home import Home, make_directory
from logship.state.metric_file import MetricCell, MetricFacts, MetricFile
from logship.state.metric_totals import APPLICATION, SlotMetrics, folder_of
from logship.worker.metrics import application
from logship.worker.metrics.application import SlotValue

FACTS = MetricFacts("shop", "8000")


def forget() -> None:
    """End the metrics of this process."""
    application._values.clear()
    if application._store is not None:
        application._store.close()
    application._store = None


class Worker:
    """The metrics of one process, which has a slot once `attach` was called."""

    def __init__(self, home: Home) -> None:
        self._folder = folder_of(home, "shop", "8000") / APPLICATION
        make_directory(home.metrics)
        make_directory(self._folder.parent)
        self.generation = 0
        self.begin()

    def begin(self) -> None:
        """Be a new process."""
        forget()
        self.generation += 1
        registry = CollectorRegistry()
        self.orders = Counter("orders", "Orders.", ["kind"], registry=registry)
        self.depth = Gauge("depth", "Depth.", registry=registry)
        self.open = Gauge("open", "Open.", registry=registry, multiprocess_mode="livesum")
        self.basket = Histogram("basket", "Basket.", registry=registry, buckets=(10, 100))

    def attach(self, slot: int) -> None:
        application.attach(self._folder, slot, self.generation)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    make_directory(tmp_path / "state")
    return Home(tmp_path / "state")


@pytest.fixture
def worker(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr(values, "ValueClass", SlotValue)
    yield Worker(home)
    forget()


def exposed(home: Home, **living: int) -> dict[str, float]:
    """Return the samples by name and labels, while these slots have workers of these generations."""
    slots = []
    for slot in range(3):
        file = MetricFile(None, FACTS)
        file.cells[MetricCell.SLOT], file.cells[MetricCell.GENERATION] = slot + 1, living.get(f"w{slot}", 0)
        metrics = SlotMetrics(FACTS, slot)
        metrics.add(file.copy(), alive=f"w{slot}" in living)
        slots.append(metrics)
    samples: list[Sample] = [sample for family in merged.families(home, slots) for sample in family.samples]
    return {_named(sample): sample.value for sample in samples}


def _named(sample: Sample) -> str:
    labels = sorted((name, value) for name, value in sample.labels.items() if name != "service")
    return " ".join([sample.name, *(f"{name}={value}" for name, value in labels)])


def test_counts_from_before_the_slot_are_included(home: Home, worker: Worker) -> None:
    worker.orders.labels("book").inc(2)
    worker.depth.set(7)
    assert exposed(home, w0=1) == {}
    worker.attach(0)
    worker.orders.labels("book").inc()
    worker.orders.labels("game").inc(5)
    worker.basket.observe(50)
    assert exposed(home, w0=1) == {
        "orders_total kind=book": 3,
        "orders_total kind=game": 5,
        "depth worker=w0": 7,
        "open": 0,
        "basket_bucket le=10.0": 0,
        "basket_bucket le=100.0": 1,
        "basket_bucket le=+Inf": 1,
        "basket_sum": 50,
        "basket_count": 1,
    }


def test_workers_add_up_and_restarts_go_on(home: Home, worker: Worker) -> None:
    for slot, count in ((0, 2), (1, 5), (0, 4)):
        worker.begin()
        worker.attach(slot)
        worker.orders.labels("book").inc(count)
        worker.open.set(count)
        assert worker.orders.labels("book")._value.get() == count  # what this process has counted
    samples = exposed(home, w0=4, w1=3)
    assert samples["orders_total kind=book"] == 11
    assert samples["open"] == 9
    assert exposed(home, w1=3)["open"] == 5  # the worker of slot 0 has ended
    assert exposed(home, w1=3)["orders_total kind=book"] == 11


def test_gauges_of_an_earlier_run_do_not_come_back(home: Home, worker: Worker) -> None:
    worker.attach(0)
    worker.depth.set(9)
    worker.begin()
    assert "depth worker=w0" not in exposed(home, w0=2)  # the next run has not opened its files yet
    worker.attach(0)
    assert exposed(home, w0=2)["depth worker=w0"] == 0


def test_another_slot_gets_what_comes_after(home: Home, worker: Worker) -> None:
    worker.attach(2)
    worker.orders.labels("book").inc(3)
    worker.attach(0)
    worker.orders.labels("book").inc(4)
    worker.attach(0)
    assert exposed(home, w0=1, w2=1)["orders_total kind=book"] == 7
    assert worker.orders.labels("book")._value.get() == 7


def test_a_forked_child_does_not_count_again(home: Home, worker: Worker) -> None:
    worker.orders.labels("book").inc(3)
    worker.depth.set(2)
    application._forget()
    worker.attach(1)
    assert exposed(home, w1=1)["orders_total kind=book"] == 0
    assert exposed(home, w1=1)["depth worker=w1"] == 2


def test_many_series_fit(home: Home, worker: Worker) -> None:
    worker.attach(0)
    for number in range(4000):
        worker.orders.labels(f"kind {number}").inc()
    assert sum(exposed(home, w0=1).values()) >= 4000


def test_nothing_is_raised_into_the_application(home: Home, worker: Worker) -> None:
    worker.attach(0)
    worker.orders.labels("book").inc()
    assert application._store is not None
    application._store.close()
    worker.orders.labels("book").inc()
    worker.orders.labels("new").inc()
    assert worker.orders.labels("book")._value.get() == 2
    assert exposed(home, w0=1)["orders_total kind=book"] == 1
