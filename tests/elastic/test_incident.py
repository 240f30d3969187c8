"""The findings of an hour are the same from the embedded store and from the real Elasticsearch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.incident_hours.fill import fill_store
from benchmarks.incident_hours.make import make_hour
from logship.elastic.client import connect
from logship.elastic.replay import from_source, replay
from logship.elastic.source import ElasticSource
from logship.forensics.incident import incident_json
from logship.search.query import Query, Source
from logship.store.read.reader import Reader
from tests.conftest import PROVE
from tests.elastic.node import Server
from tests.elastic.test_setup import told

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(900)

KINDS = (
    "failing_route", "slow_route", "worker_killed", "bad_deploy", "hot_worker", "status_shifted", "bad_tenant", "new_message",
    "dropped_events", "steady",
)  # fmt: skip
QUIET = {"steady"}


def summary(source: Source, query: Query, now_ns: int) -> list[Mapping[str, Any]]:
    """What each finding says that does not depend on percentiles, which Elasticsearch estimates."""
    names = ("kind", "severity", "service", "worker", "fields", "began", "query")
    findings = incident_json(source, query, now_ns)["findings"]
    return [{name: finding[name] for name in names} for finding in findings]


@pytest.mark.parametrize("kind", KINDS if PROVE else KINDS[:1])
def test_both_stores_give_the_same_findings(elastic: Server, namespace: str, tmp_path: Path, kind: str) -> None:
    hour = make_hour(kind, "clear", 0, "tuning", per_second=1.5 if PROVE else 0.7)
    fill_store(hour, tmp_path / "store")
    reader, settings = Reader(tmp_path / "store"), told(elastic, namespace)
    with connect(settings) as client:
        created = sum(done.created for done in replay(client, settings, from_source(reader, Query()), tmp_path / "dead"))
    assert created == len(hour.entries)
    source, window = ElasticSource(settings), Query(None, hour.since_ns, hour.until_ns)
    from_store, from_elastic = (summary(one, window, hour.until_ns) for one in (reader, source))
    reader.close()
    source.close()
    assert from_elastic == from_store
    assert bool(from_store) == (kind not in QUIET)
