"""The CPU cores that a worker may use."""

import os
import threading
import time
from pathlib import Path

import pytest

from logship.worker.metrics import cpu_limits
from logship.worker.thread_clock import own_wait


def test_cores_are_listed_as_the_kernel_does() -> None:
    assert cpu_limits.cpu_list({6, 0, 2, 1}) == "0-2,6"
    assert cpu_limits.cpu_list({3}) == "3"


def test_a_quota_is_in_cores(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text("150000 100000\n")
    assert cpu_limits.fields(quota)["logship.process.cpu_quota"] == 1.5


@pytest.mark.parametrize("text", ["max 100000\n", "", "100000 0\n", None])
def test_without_a_quota_there_is_no_number(tmp_path: Path, text: str | None) -> None:
    quota = tmp_path / "cpu.max"
    if text is not None:
        quota.write_text(text)
    assert "logship.process.cpu_quota" not in cpu_limits.fields(quota)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_a_thread_that_shares_a_core_waits_for_it() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        wait_ns, ends = own_wait(), time.monotonic() + 0.4
        pid = os.fork()
        while time.monotonic() < ends:
            pass
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
        assert wait_ns() > 50_000_000
    finally:
        os.sched_setaffinity(0, allowed)


def test_a_wait_can_be_read_of_the_own_thread_only_while_it_runs() -> None:
    waits: list[int] = []
    thread = threading.Thread(target=lambda: waits.append(own_wait()()))
    thread.start()
    thread.join()
    assert waits[0] >= 0
