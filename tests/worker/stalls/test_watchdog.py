"""The thread: where it runs, where it does not, and around forks."""

import gc
import time
from pathlib import Path

import orjson

from logship.worker.stalls.gc_pauses import GcPauses
from tests.worker.pipelines import run

SERVES = """
import asyncio, os, sys, threading, time, warnings
import logship
warnings.simplefilter("error")
logship.configure(service="shop", agent="file:{out}", console="off", stall_seconds=0.1, probes=())

def names():
    return sorted(thread.name for thread in threading.enumerate())

async def app(scope, receive, send):
    {work}

async def serve():
    scope = dict(type="http", http_version="1.1", method="GET", path="/x", query_string=b"", scheme="http", headers=[],
                 client=None, server=None)
    await logship.RequestLog(app)(scope, None, None)
    {then}

assert names() == ["MainThread"]
logship.get_logger().info("begun")
assert names() == ["MainThread", "logship-shipper"]
asyncio.run(serve())
{end}
logship.shutdown()
os._exit(0)
"""


def stalls_of(tmp_path: Path, work: str, then: str = "pass", end: str = "") -> list[dict[str, object]]:
    out = tmp_path / "events"
    run(SERVES.format(out=out, work=work, then=then, end=end), tmp_path)
    events = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    return [event for event in events if "stall" in event.get("event.action", "")]


def test_the_thread_begins_with_the_loop_and_ends_with_it(tmp_path: Path) -> None:
    end = "time.sleep(0.3); assert names() == ['MainThread', 'logship-shipper'], names()"
    then = "assert 'logship-watchdog' in names()"
    assert stalls_of(tmp_path, "pass", then, end) == []


def test_a_fork_ends_the_thread_and_starts_it_again(tmp_path: Path) -> None:
    then = """
    for _ in range(3):
        child = os.fork()
        if child == 0:
            os._exit(0 if names() == ["MainThread"] else 1)
        assert os.waitpid(child, 0)[1] == 0
    await asyncio.sleep(0.2)
    assert "logship-watchdog" in names()
    time.sleep(0.3)
    await asyncio.sleep(0.3)
    """
    (event,) = stalls_of(tmp_path, "await asyncio.sleep(0.3)", then)
    assert event["log.origin.function"] == "serve"


def test_a_debugger_is_not_blamed(tmp_path: Path) -> None:
    work = """
    bdb = type(logship)("bdb")
    exec("def wait(): time.sleep(0.4)", bdb.__dict__ | {"time": time}, bdb.__dict__)
    bdb.wait.__globals__["__name__"] = "bdb"
    bdb.wait()
    """
    assert stalls_of(tmp_path, work, "await asyncio.sleep(0.3)") == []


def test_a_thread_that_holds_the_interpreter_is_named(tmp_path: Path) -> None:
    work = """
    def hold():
        import re
        re.match(r"(a+)+$", "a" * 24 + "b")
    await asyncio.sleep(0.1)
    await asyncio.to_thread(hold)
    """
    events = stalls_of(tmp_path, work, "await asyncio.sleep(0.3)")
    assert [event["event.reason"] for event in events] == ["interpreter_held"]
    # Nobody is named rather than somebody else: the thread may go on before the watchdog comes.
    assert events[0].get("log.origin.function") in {"app.<locals>.hold", None}
    assert "http.request.id" not in events[0]


def test_collections_are_timed() -> None:
    pauses = GcPauses()
    heap = [[number, [number]] for number in range(300_000)]
    pauses.start()
    began = time.monotonic_ns()
    gc.collect()
    ended = time.monotonic_ns()
    pauses.stop()
    pauses.stop()
    assert 0.3 * (ended - began) < pauses.within(began, ended) <= ended - began
    assert pauses.within(began - 10**9, began) == 0
    assert len(heap) == 300_000
