"""Elasticsearch for the commands that set it up and fill it."""

from tests.elastic.conftest import elastic, namespace
from tests.proofs.conftest import certificate

__all__ = ["certificate", "elastic", "namespace"]
