"""An Elasticsearch for benchmarks: the one in LOGSHIP_TEST_ES_URL, otherwise a real one that is started as in the tests."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from logship.elastic import mapping
from logship.settings import Settings, load
from tests.elastic import server
from tests.elastic.node import Node, NotHere, Server

HEAP = "1g"


@contextmanager
def elasticsearch() -> Iterator[Server]:
    """Yield it with logship's templates installed. Exit with a message if none can be started."""
    named = server.named()
    if named is not None:
        server.put_templates(named)
        yield named
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # otherwise the node would outlive this process
    try:
        node = Node(heap=HEAP, quick_start=False)
    except NotHere as why:
        print(f"not measured: {why}")
        raise SystemExit(0) from None
    with node:
        server.put_templates(node)
        yield node


def settings_of(elastic: Server, namespace: str) -> Settings:
    """Return the settings with which `logship` connects to it."""
    who = {"elastic_user": elastic.user, "elastic_password": elastic.password, "elastic_ca_file": elastic.ca_file}
    given = {"elastic_url": elastic.url, "elastic_namespace": namespace, **who}
    return load({name: value for name, value in given.items() if value})


def cpu_seconds(elastic: Server) -> float:
    """Return the CPU seconds of the server; 0 if it does not report them."""
    status, told = elastic.ask("GET", "/_nodes/stats/process?filter_path=nodes.*.process.cpu.total_in_millis")
    nodes: dict[str, Any] = told.get("nodes", {}) if status == 200 else {}
    return sum(float(one["process"]["cpu"]["total_in_millis"]) for one in nodes.values()) / 1000


def stream(namespace: str) -> str:
    return mapping.stream(namespace)
