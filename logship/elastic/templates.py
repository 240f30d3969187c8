"""The kinds of data streams that set-up prepares, events and hourly totals, with all templates that they need."""

from dataclasses import dataclass

from logship.elastic import hours, mapping
from logship.elastic.mapping import RETENTION_DAYS, Body


@dataclass(frozen=True, slots=True)
class DataSet:
    """A kind of data streams. `template`: the name of its index template; `stream`: that of one namespace."""

    template: str
    pattern: str
    stream: str
    mappings: Body
    lifecycle: Body


def data_sets(namespace: str, retention_days: float = RETENTION_DAYS) -> tuple[DataSet, DataSet]:
    """Return events and hourly totals. `retention_days`: of events; 0: no limit."""
    return (
        DataSet(
            mapping.TEMPLATE, mapping.PATTERN, mapping.stream(namespace), mapping.mappings(), mapping.lifecycle(retention_days)
        ),
        DataSet(
            hours.TEMPLATE, hours.PATTERN, hours.stream(namespace), hours.mappings(), mapping.lifecycle(hours.RETENTION_DAYS)
        ),
    )  # fmt: skip


def documents(retention_days: float = RETENTION_DAYS) -> dict[str, Body]:
    """Every body under the path it is PUT to, in the order in which they must be put. `retention_days` as above."""
    return mapping.documents(retention_days) | {f"_index_template/{hours.TEMPLATE}": hours.index_template()}
