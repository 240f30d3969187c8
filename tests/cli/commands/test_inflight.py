"""`logship inflight` lists running and interrupted requests."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Kept, Logship, Up, environment
from tests.cli.helpers import lines


def test_inflight_names_requests_that_died_with_their_worker(kept: Kept, logship: Logship) -> None:
    assert logship("inflight", "--source", kept.at).returncode == 1
    kept.put(
        1,
        **{
            "event.action": "worker-lost",
            "logship.in_flight.ids": ["abc"],
            "logship.in_flight.requests": ["GET /slow 1234ms"],
            "logship.in_flight.count": 1,
            "logship.worker.slot": 3,
        },
    )
    told = logship("inflight", "3", "--json", "--source", kept.at)
    assert told.returncode == 0
    row = json.loads(told.stdout)
    assert (row["state"], row["id"], row["what"], row["age_ns"]) == ("lost", "abc", "GET /slow", 1_234_000_000)
    nobody = logship("inflight", "4", "--source", kept.at)
    assert (nobody.returncode, nobody.stderr.startswith("no request of worker 4 is running")) == (1, True)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[None]:
    """A worker of the state directory `tmp_path` that answers GET /slow for as long as the test takes."""
    code = (
        "import asyncio, logship\n"
        "async def app(scope, receive, send): print(flush=True); await asyncio.sleep(600)\n"
        "logship.configure(agent='127.0.0.1:9', service='shop')\n"
        "scope = {'type': 'http', 'method': 'GET', 'path': '/slow', 'headers': [(b'x-request-id', b'slow-one')],"
        " 'http_version': '1.1'}\n"
        "asyncio.run(logship.RequestLog(app)(scope, None, None))"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], env=environment(tmp_path), stdout=subprocess.PIPE)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"\n"
    yield
    worker.kill()
    worker.communicate()


def test_inflight_of_a_slot_names_what_runs_in_that_slot_alone(running: None, kept: Kept, logship: Logship) -> None:
    (row,) = lines(logship("inflight", "--slot", "0", "--source", kept.at).stdout)
    assert (row[0], row[-1]) == ("running", "GET /slow")
    assert logship("inflight", "--slot", "1", "--source", kept.at).stdout == ""


def test_inflight_over_http_names_what_runs_where_the_collector_is(
    running: None, up: Up, tmp_path: Path, logship: Logship
) -> None:
    elsewhere = {"LOGSHIP_STATE_DIR": str(tmp_path / "elsewhere")}
    (row,) = lines(logship("inflight", "--source", up.http, **elsewhere).stdout)
    assert (row[0], row[-1]) == ("running", "GET /slow")
    (row,) = lines(logship("inflight", "--source", up.http).stdout)  # seen twice, shown once
    assert row[0] == "running"
    drawn = logship("trace", row[5], "--source", up.http, **elsewhere)
    assert drawn.returncode == 0, drawn.stderr
    assert "GET /slow is still running" in drawn.stdout
    # A store of the same events elsewhere: its workers' requests cannot be seen, and that is said.
    worker = {"service.node.name": "h/shop/w0", "logship.worker.slot": 0, "event.action": "worker-heartbeat"}
    up.put(1, **worker, **{"logship.requests.in_flight": 2})
    told = logship("inflight", "--source", str(tmp_path / "store"), **elsewhere)
    assert (told.returncode, told.stdout) == (4, "")
    assert "running requests of 1 worker are not visible from here (h/shop/w0: 2 in flight" in told.stderr
