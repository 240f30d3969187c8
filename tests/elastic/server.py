"""The one Elasticsearch of a test run: the one that LOGSHIP_TEST_ES_URL names, else a node of our own."""

import os
import uuid

import pytest

from logship.elastic import mapping
from tests.elastic.node import Node, NotHere, Server

_running: Server | None = None
full = pytest.mark.skipif(
    not os.environ.get("LOGSHIP_TEST_ES_URL"),
    reason="the test build of Elasticsearch lacks this: name a full server in LOGSHIP_TEST_ES_URL",
)


def running() -> Server:
    """It, started at the first call and with our templates; the test is skipped where there can be none."""
    global _running
    if _running is None:
        _running = _named() or _own()
        for path, body in mapping.documents().items():
            _running.must("PUT", f"/{path}", body)
    return _running


def stop() -> None:
    """End it, if it was ours."""
    global _running
    if isinstance(_running, Node):
        _running.__exit__()
    _running = None


def own(**settings: object) -> Node:
    """A node of the test's own, not started: to be killed, or with other settings."""
    try:
        return Node(settings=settings)
    except NotHere as why:
        pytest.skip(str(why))


def new_namespace() -> str:
    """A namespace that no other test uses: streams cannot be deleted on every build."""
    return f"t{uuid.uuid4().hex[:8]}"


def _named() -> Server | None:
    url = os.environ.get("LOGSHIP_TEST_ES_URL")
    if not url:
        return None
    around = {name: os.environ.get(f"LOGSHIP_TEST_ES_{name}", "") for name in ("USERNAME", "PASSWORD", "CA", "API_KEY")}
    return Server(url, around["USERNAME"], around["PASSWORD"], around["CA"], around["API_KEY"])


def _own() -> Node:
    node = own()
    node.__enter__()
    return node
