"""docs/metrics.md names every metric, and no other."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from logship.prometheus.families import WorkerCollector
from logship.state.metric_file import MetricCell, MetricFacts, MetricFile, labels_of
from logship.state.metric_totals import SlotMetrics

DOC = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_the_page_names_every_metric() -> None:
    file = MetricFile(None, MetricFacts("shop"))
    index = file.series(labels_of("GET", "/", 200))
    assert index is not None
    file.cells[index] = file.cells[MetricCell.SLOT] = file.cells[MetricCell.ACCEPT_QUEUE] = file.cells[MetricCell.POOL_SIZE] = 1
    file.cells[MetricCell.JOURNAL_LIMIT_BYTES] = 1
    slot = SlotMetrics(MetricFacts("shop"), 0)
    slot.add(file.copy(), alive=True)
    registry = CollectorRegistry()
    registry.register(WorkerCollector(None, own=lambda: [slot]))
    exposed = set(re.findall(r"(?m)^# TYPE (\S+)", generate_latest(registry).decode()))
    table = DOC.partition("| metric |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.count("|") > 2]
    documented = {name for cell in cells for name in re.findall(r"`([a-z]+_[a-z_]+)`", cell)}
    assert {name for name in exposed if not name.endswith("_created")} == documented
