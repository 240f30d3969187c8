"""Proof 2 without its times: what is logged beside a bad agent is stored once or counted (benchmarks/bench_stall.py)."""

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parent.parent.parent / "benchmarks" / "bench_stall.py"


def test_beside_every_bad_agent_each_event_is_stored_up_to_the_limit_and_counted_beyond_it() -> None:
    done = subprocess.run(
        [sys.executable, str(BENCH), "--check"], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    faults = [line.split()[0] for line in done.stdout.splitlines()]
    assert faults == ["refusing", "hung", "slow", "restarting", "mid-frame"]
