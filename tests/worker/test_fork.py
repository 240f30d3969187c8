"""A process that forks: nobody is warned because of our thread, nothing is lost or sent twice, and the child ships too."""

import sys
from pathlib import Path

import orjson
import pytest

from tests.worker.far_agent import AwakeAgent
from tests.worker.pipelines import run

FORKS = """
import logging, multiprocessing, os, subprocess, sys, threading, time, warnings
import logship
warnings.simplefilter("always")
logship.configure(service="shop", agent="{agent}", console="off")
log = logging.getLogger("shop")
log.info("before")
assert logship.flush(10)

def inside(name):
    log.info("in %s", name)
    logship.flush(10)

for number in range(3):
    child = os.fork()
    if child == 0:
        inside(f"fork {{number}}")
        os._exit(0)
    os.waitpid(child, 0)
    log.info("behind fork %d", number)
process = multiprocessing.get_context("fork").Process(target=inside, args=("multiprocessing",))
process.start()
process.join()
subprocess.run(["true"], preexec_fn=os.getpid, check=True)
assert [thread.name for thread in threading.enumerate()] == ["MainThread", "logship-shipper"]
log.info("behind all")
assert logship.flush(10)
os._exit(0)
"""


def test_forks_lose_nothing_and_warn_of_nothing(tmp_path: Path) -> None:
    out = tmp_path / "events"
    run(FORKS.format(agent=f"file:{out}"), tmp_path)
    events = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    said = [event["message"] for event in events if event["event.dataset"] == "logship.app"]
    expected = ["before", "in multiprocessing", "behind all"]
    expected += [f"{where} {number}" for number in range(3) for where in ("in fork", "behind fork")]
    assert sorted(said) == sorted(expected)
    assert len({event["event.id"] for event in events}) == len(events)
    assert len({event["service.ephemeral_id"] for event in events}) == 5


def test_the_connection_to_the_agent_survives_a_fork(tmp_path: Path, far: AwakeAgent) -> None:
    run(FORKS.format(agent=far.address), tmp_path)
    said = [message for message in far.stored() if message.split()[0] in {"before", "in", "behind"}]
    assert len(said) == len(set(said)) == 9


@pytest.mark.skipif(sys.version_info < (3, 12), reason="only Python 3.12 and newer warn of a fork beside threads")
def test_another_thread_is_still_warned_of(tmp_path: Path) -> None:
    script = """
    import os, threading, time, warnings
    import logship, logging
    logship.configure(service="shop", agent="off", console="off")
    logging.getLogger("shop").info("x")
    threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        if os.fork() == 0:
            os._exit(0)
    assert ["multi-threaded" in str(one.message) for one in seen] == [True], seen
    os._exit(0)
    """
    run(script, tmp_path)
