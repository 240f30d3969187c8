"""The real Elasticsearch of the run, and a certificate for localhost."""

from tests.elastic.conftest import elastic, namespace
from tests.proofs.conftest import certificate

__all__ = ["certificate", "elastic", "namespace"]
