"""The metrics that applications define with prometheus_client, summed over the workers of each service.

Each worker writes its values to files in prometheus_client's own format (`mmap_dict`), which has one file for each type and slot:

    metrics/<service>@<instance>/application/counter_<slot>.db
    metrics/<service>@<instance>/application/gauge_<multiprocess_mode>_<slot>-<generation>.db

They are named as in its multiprocess mode, so that prometheus_client merges them: counters, histograms and summaries are sums,
gauges follow their `multiprocess_mode`. The next run in a slot continues its files, except those of gauges, which are read only
while their run is alive."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client.core import Metric, Sample
from prometheus_client.multiprocess import MultiProcessCollector

from logship.state.home import Home
from logship.state.metric_file import MetricCell
from logship.state.metric_totals import APPLICATION, SlotMetrics, folder_of

GAUGE: Final = "gauge"


def families(home: Home, slots: Iterable[SlotMetrics]) -> Iterator[Metric]:
    """Yield the applications' metrics of the services of `slots`, with the label `service`. Damaged files are left out."""
    folders: defaultdict[tuple[str, Path], set[str]] = defaultdict(set)
    for slot in slots:
        living = {f"{slot.slot}-{run.cells[MetricCell.GENERATION]}" for run in slot.runs}
        folders[slot.facts.service, folder_of(home, slot.facts.service, slot.facts.instance) / APPLICATION] |= living
    merged: dict[str, Metric] = {}
    for (service, folder), living in folders.items():
        for metric in _merged(folder, living):
            family = merged.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
            if family.type == metric.type:
                family.samples += [_labelled(sample, service) for sample in metric.samples]
    yield from merged.values()


def _merged(folder: Path, living: set[str]) -> list[Metric]:
    files = [str(path) for path in sorted(folder.glob("*.db")) if not _is_stale(path, living)]
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        return list(MultiProcessCollector.merge(files))  # type: ignore[no-untyped-call]
    return []


def _is_stale(path: Path, living: set[str]) -> bool:
    """Whether `path` holds gauges of a run that has ended."""
    kind, _, rest = path.stem.partition("_")
    return kind == GAUGE and rest.rpartition("_")[2] not in living


def _labelled(sample: Sample, service: str) -> Sample:
    """Return the sample with its service; what prometheus_client calls the pid is the slot and the generation."""
    labels = dict(sample.labels)
    if "pid" in labels:
        labels["worker"] = f"w{labels.pop('pid').partition('-')[0]}"
    labels.setdefault("service", service)
    return sample._replace(labels=labels)
