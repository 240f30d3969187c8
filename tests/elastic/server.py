"""The one Elasticsearch of a test run: the one that LOGSHIP_TEST_ES_URL names, else one node of our own.

Tests beside each other (pytest-xdist) share it: the first process that needs it starts it, the last one ends it. A test that
changes what all of them see, templates, or kills the node, is marked `alone` and has it for itself meanwhile."""

import atexit
import fcntl
import os
import pickle
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from logship.elastic import templates
from tests import needs
from tests.elastic.node import Node, NotHere, Server

_here: "Shared | None" = None
full = pytest.mark.skipif(
    not os.environ.get("LOGSHIP_TEST_ES_URL"),
    reason="the test build of Elasticsearch lacks this: name a full server in LOGSHIP_TEST_ES_URL",
)


@dataclass
class Shared:
    """What the processes of a run know of it: how many use it, and the node, or why there is none."""

    users: int = 0
    server: Server | None = None
    not_here: str = ""


def running() -> Server:
    """It, started at the first call and with our templates; the test is skipped where there can be none."""
    global _here
    with _locked("state"):
        if _here is None:
            _here = _told()
            _here.users += 1
            if _here.server is None and not _here.not_here:
                try:
                    _here.server = named() or _own()
                except NotHere as why:
                    _here.not_here = str(why)
                _tell(_here)
                put_templates(_here.server)
            _tell(_here)
    if _here.server is None:
        needs.lacks("elasticsearch", _here.not_here)
    return _here.server


def put_templates(server: Server | None) -> None:
    """Our templates, as they are made now."""
    for path, body in templates.documents().items() if server else ():
        assert server is not None
        server.must("PUT", f"/{path}", body)


def stop() -> None:
    """End it, if it is ours and nobody else uses it."""
    global _here
    if _here is None:
        return
    with _locked("state"):
        told = _told()
        told.users -= 1
        if not told.users and isinstance(told.server, Node):
            told.server.__exit__()
        if told.users:
            _tell(told)
        else:
            (_folder() / "told").unlink()
    _here = None


@contextmanager
def killable() -> Iterator[Node]:
    """The node for a test that is `alone`: it may kill it; it runs again afterwards."""
    told = _told()
    if not isinstance(told.server, Node):
        pytest.skip("the Elasticsearch that LOGSHIP_TEST_ES_URL names is not killed")
    try:
        yield told.server
    finally:
        if not told.server.lives():
            told.server.start()
        with _locked("state"):
            now = _told()
            now.server = told.server
            _tell(now)


@contextmanager
def lease(alone: bool) -> Iterator[None]:
    """Nobody has it alone while this test uses it; with `alone`, nobody else uses it."""
    # Who waits to be alone holds the gate: nobody begins meanwhile, so that it gets its turn.
    with _locked("gate"):
        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        held = _locked("lease", kind)
        held.__enter__()
    try:
        yield
    finally:
        held.__exit__(None, None, None)


def own(**settings: object) -> Node:
    """A node of the test's own, not started: with other settings."""
    try:
        return Node(settings=settings)
    except NotHere as why:
        needs.lacks("elasticsearch", str(why))


def new_namespace() -> str:
    """A namespace that no other test uses: streams cannot be deleted on every build."""
    return f"t{uuid.uuid4().hex[:8]}"


def beside_others() -> str:
    """What the processes of one run have in common, empty when it has one process."""
    return os.environ.get("PYTEST_XDIST_TESTRUNUID", "")


@cache
def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"logship-es-run-{beside_others() or os.getpid()}"
    folder.mkdir(exist_ok=True)
    if not beside_others():
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextmanager
def _locked(name: str, kind: int = fcntl.LOCK_EX) -> Iterator[None]:
    with open(_folder() / name, "w") as file:
        fcntl.flock(file, kind)
        yield


def _told() -> Shared:
    file = _folder() / "told"
    told = pickle.loads(file.read_bytes()) if file.exists() else Shared()  # our own, of this run
    assert isinstance(told, Shared)
    return told


def _tell(shared: Shared) -> None:
    (_folder() / "told").write_bytes(pickle.dumps(shared))


def named() -> Server | None:
    """The server that the environment names."""
    url = os.environ.get("LOGSHIP_TEST_ES_URL")
    if not url:
        return None
    around = {name: os.environ.get(f"LOGSHIP_TEST_ES_{name}", "") for name in ("USERNAME", "PASSWORD", "CA", "API_KEY")}
    return Server(url, around["USERNAME"], around["PASSWORD"], around["CA"], around["API_KEY"])


def _own() -> Node:
    node = Node()
    node.__enter__()
    return node
