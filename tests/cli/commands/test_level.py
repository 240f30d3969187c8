"""`logship level` changes the level of running workers."""

import json
import subprocess
import sys
from pathlib import Path

import orjson

from logship.state import levels
from tests.cli.conftest import Logship, environment

CODE = """
import logging, sys, logship
logship.configure(agent="file:{out}", service="shop")
logging.getLogger("shop").info("ready")
print(flush=True)
sys.stdin.readline()
logging.getLogger("shop").debug("detail")
assert logship.flush()
"""


def test_a_running_worker_follows(tmp_path: Path, logship: Logship) -> None:
    out = tmp_path / "events.jsonl"
    worker = subprocess.Popen(
        [sys.executable, "-c", CODE.format(out=out)],
        env=environment(tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"\n"
    told = logship("level", "debug", "--for", "1m", "--service", "shop", "--json")
    row = json.loads(told.stdout)
    assert (told.returncode, row["service"], row["pid"], row["level"]) == (0, "shop", worker.pid, "debug")
    while not out.exists() or b"set to debug by logship level" not in out.read_bytes():
        assert worker.poll() is None
    worker.communicate(b"\n", timeout=30)
    assert worker.returncode == 0
    events = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert [event["message"] for event in events][:3] == ["ready", "log level set to debug by logship level", "detail"]
    assert events[1]["event.action"] == "log-level-changed"


def test_without_a_worker_it_says_so(tmp_path: Path, logship: Logship) -> None:
    told = logship("level", "debug", "--for", "90s")
    assert (told.returncode, told.stdout) == (1, "")
    assert "no live worker of this machine matches" in told.stderr
    assert [override.level for override in levels.read(tmp_path)] == ["debug"]
    assert logship("level", "reset").returncode == 1
    assert levels.read(tmp_path) == []


def test_bad_input_is_named(logship: Logship) -> None:
    for words, name in ((("loud",), "loud"), (("debug", "--for", "soon"), "soon"), (("debug", "--slot", "-1"), "-1")):
        told = logship("level", *words)
        assert told.returncode == 2
        assert name in told.stderr
