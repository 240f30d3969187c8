"""The real Elasticsearch of the run."""

from tests.elastic.conftest import elastic

__all__ = ["elastic"]
