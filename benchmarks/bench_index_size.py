"""Measure bytes per event on disk in Elasticsearch, for logship's mapping and alternatives, in one run.

    python benchmarks/bench_index_size.py [--records 50000]

The same events (events.py) are created under their ids in one index per variant, which is then merged into one segment.
`columns for ids` is logship's mapping plus the columns (doc_values) that `mapping.LOOKED_UP` omits."""

import argparse
import copy
import json
import time
from typing import Any

from elastic_node import elasticsearch
from events import Shop
from machine import table

from logship.elastic import mapping
from logship.search.times import rfc3339
from tests.elastic.node import Server

BATCH = 2_000
CACHED_SECONDS = 11  # Elasticsearch caches the size for this long


def variants() -> dict[str, dict[str, Any]]:
    """Return the body that creates each index."""
    ours = {"settings": mapping.settings(), "mappings": mapping.mappings()}
    columns = copy.deepcopy(ours)
    for group in columns["mappings"]["properties"].values():
        for field in group.get("properties", {}).values():
            field.pop("doc_values", None)
    logsdb = copy.deepcopy(ours)
    logsdb["settings"]["index"]["mode"] = "logsdb"
    logsdb["settings"]["index"]["mapping"]["source"] = {"mode": "stored"}
    return {"ours": ours, "columns for ids": columns, "logship's, as logsdb": logsdb}


def fill(elastic: Server, index: str, records: int) -> int:
    """Create the events and return their number."""
    for batch in Shop().batches(records, BATCH):
        lines = []
        for ns, event in batch:
            lines += [json.dumps({"create": {"_id": event["event.id"]}}), json.dumps(event | {"@timestamp": rfc3339(ns)})]
        answer = elastic.must("POST", f"/{index}/_bulk?filter_path=errors", "\n".join(lines) + "\n")
        assert not answer["errors"]
    return elastic.count(index)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure bytes per event on disk in Elasticsearch.")
    parser.add_argument("--records", type=int, default=50_000)
    records = parser.parse_args().records
    with elasticsearch() as elastic:
        sizes, found = {}, 0
        for name, body in variants().items():
            index = "size-" + name.replace(" ", "-")
            elastic.must("PUT", f"/{index}", body)
            found = fill(elastic, index, records)
            elastic.must("POST", f"/{index}/_forcemerge?max_num_segments=1")
            time.sleep(CACHED_SECONDS)
            told = elastic.must("GET", f"/{index}/_stats/store")
            sizes[name] = told["_all"]["primaries"]["store"]["size_in_bytes"] / found
            elastic.ask("DELETE", f"/{index}")
    rows = [[name, f"{size:.0f}", f"{size / sizes['ours']:.2f}"] for name, size in sizes.items()]
    table(f"{found:,} events, one segment", ["variant", "bytes/event", "to ours"], rows)


if __name__ == "__main__":
    main()
