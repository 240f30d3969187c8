"""Stalls of real servers: found, with the line, the request, and nothing for threads, debuggers and stopped processes."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import first
from tests.worker.serving import Event, Server, until

UVICORN = "uvicorn blocking:app --port {port} --loop "
HYPERCORN = "hypercorn --bind 127.0.0.1:{port} blocking:app -k "
LOOPS = {
    "asyncio": UVICORN + "asyncio",
    "uvloop": UVICORN + "uvloop",
    "granian": "granian --interface asgi --port {port} blocking:app",
    "trio": HYPERCORN + "trio",
}
MS = 10**6


@pytest.fixture(scope="module", params=LOOPS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    name = request.param
    with Server(tmp_path_factory.mktemp(name), LOOPS[name]) as server:
        server.wait_ready()
        server.ask("/nothing")
        yield server


def stalls(server: Server) -> list[Event]:
    return server.actions("loop-stalled")


def stall_of(server: Server, path: str) -> Event:
    """The stall that one request causes."""
    before = len(stalls(server))
    time.sleep(0.2)
    server.ask(path)
    until(lambda: len(stalls(server)) > before, f"the stall of {path}\n{server.said()}", 15)
    return stalls(server)[before]


def test_a_blocking_call_is_reported_with_its_line_and_request(server: Server) -> None:
    event = stall_of(server, "/sleep")
    assert event["event.reason"] == "blocking_call"
    assert (event["log.origin.function"], event["log.origin.file.name"]) == ("sleep", "blocking.py")
    assert (server.folder / "blocking.py").read_text().splitlines()[
        event["log.origin.file.line"] - 1
    ].strip() == "time.sleep(0.3)"
    assert event["http.request.id"] == server.asked[-1]
    assert event["url.path"] == "/sleep"
    assert event["logship.requests.in_flight"] == 1
    assert 270 * MS < event["event.duration"] < 1500 * MS
    assert "in sleep" in event["error.stack_trace"].splitlines()[-2]


@pytest.mark.parametrize("way", first(2, ["compute", "match", "parse", "query"]))
def test_whatever_blocks_has_its_function(server: Server, way: str) -> None:
    event = stall_of(server, f"/{way}")
    # The stack of a call that held the lock is read after it, and sometimes too late; then nobody is named.
    named = event.get("log.origin.function", way if event["event.reason"] == "interpreter_held" else "nobody")
    assert named == way
    assert event["event.reason"] in {"computing", "interpreter_held", "blocking_call", "garbage_collection"}


def test_a_long_stall_is_reported_while_it_lasts_and_at_its_end(server: Server) -> None:
    before = len(server.actions("loop-stalling"))
    ended = stall_of(server, "/long")
    (begun,) = server.actions("loop-stalling")[before:]
    assert begun["event.start"] == ended["event.start"]
    assert begun["event.duration"] < ended["event.duration"]
    assert begun["log.origin.function"] == ended["log.origin.function"] == "long"


def test_work_in_threads_and_waiting_are_not_stalls(server: Server) -> None:
    before = len(stalls(server))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(server.ask, ["/thread"] * 4))
    time.sleep(0.3)
    # On a busy machine the loop may wait until a new thread of the pool gets a core.
    assert [event for event in stalls(server)[before:] if "in Thread.start" not in event["error.stack_trace"]] == []


def test_a_stopped_process_is_not_blamed_on_a_line(server: Server) -> None:
    before = len(stalls(server))
    pid = server.actions("worker-started")[-1]["process.pid"]
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5)
    os.kill(pid, signal.SIGCONT)
    until(lambda: len(stalls(server)) > before, "the report of the pause", 15)
    (event,) = stalls(server)[before:]
    assert event["event.reason"] == "not_scheduled"
    assert "log.origin.function" not in event
    assert "http.request.id" not in event
    assert event["log.level"] == "info"


def test_a_task_of_a_request_has_its_request(tmp_path: Path) -> None:
    with Server(tmp_path, LOOPS["asyncio"]) as server:
        server.wait_ready()
        event = stall_of(server, "/task")
        assert event["log.origin.function"] == "sleep"
        assert event["http.request.id"] == server.asked[-1]


def test_a_worker_that_dies_in_a_stall_has_told_of_it(tmp_path: Path) -> None:
    with Server(tmp_path, LOOPS["uvloop"]) as server, ThreadPoolExecutor(1) as pool:
        server.wait_ready()
        pool.submit(server.ask, "/forever")
        until(lambda: server.actions("loop-stalling"), "the report of the stall")
        server.kill(signal.SIGKILL)
        (event,) = server.actions("loop-stalling")
    assert event["log.origin.function"] == "forever"
    assert event["message"].startswith("event loop still blocked after 1.")


def test_an_exhausted_thread_pool_is_reported_with_what_its_threads_do(tmp_path: Path) -> None:
    with Server(tmp_path, LOOPS["asyncio"]) as server, ThreadPoolExecutor(50) as pool:
        server.wait_ready()
        list(pool.map(server.ask, ["/pool"] * 50))
        until(lambda: server.actions("thread-pool-exhausted"), "the report of the pool", 15)
        (begun,) = server.actions("thread-pool-exhausting")
        (ended,) = server.actions("thread-pool-exhausted")
    assert ended["logship.thread_pool.size"] == 40
    assert ended["logship.thread_pool.waiting"] == 10
    assert ended["event.duration"] > begun["event.duration"] > 10**9
    assert begun["event.start"] == ended["event.start"]


def test_without_the_setting_there_is_no_watchdog(tmp_path: Path) -> None:
    with Server(tmp_path, LOOPS["asyncio"], LOGSHIP_STALL_SECONDS="0") as server:
        server.wait_ready()
        server.ask("/sleep")
        names = {path.read_text().strip() for path in Path(f"/proc/{server.pid}/task").glob("*/comm")}
        assert len(list(Path(f"/proc/{server.pid}/task").iterdir())) == 2, names
        time.sleep(0.3)
        assert stalls(server) == []
