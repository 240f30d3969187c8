"""The real Elasticsearch of the run, and the same events in both stores."""

from tests.elastic.conftest import elastic
from tests.kibana.stores import both

__all__ = ["both", "elastic"]
