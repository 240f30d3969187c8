"""`import logship.auto` takes nothing from the program: whatever is wrong, it starts, and says what is wrong once."""

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = "import logging, logship.auto; logging.getLogger('shop').warning('hello'); print('runs')"


def run(tmp_path: Path, before: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
    around = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "LOGSHIP_STATE_DIR": str(tmp_path / "state"),
        "LOGSHIP_AGENT": f"file:{tmp_path / 'events'}",
        "LOGSHIP_CONSOLE": "off",
        **environment,
    }
    around = {name: value for name, value in around.items() if value}
    return subprocess.run(
        [sys.executable, "-c", before + PROGRAM], env=around, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )


def messages(tmp_path: Path) -> list[tuple[str, str]]:
    """(service, message) of the events of the application."""
    events = [orjson.loads(line) for line in (tmp_path / "events").read_bytes().splitlines()]
    return [(event["service.name"], event["message"]) for event in events if event["event.dataset"] == "logship.app"]


GONE = "import os, tempfile; gone = tempfile.mkdtemp(); os.chdir(gone); os.rmdir(gone)\n"


@pytest.mark.skipif(sys.version_info[:3] == (3, 13, 0), reason="asyncio itself cannot be imported there by Python 3.13.0")
def test_the_working_directory_may_be_gone(tmp_path: Path) -> None:
    done = run(tmp_path, GONE)
    assert (done.returncode, done.stdout) == (0, "runs\n")
    assert messages(tmp_path) == [("service", "hello")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOGSHIP_LEVEL", "loud"),
        ("LOGSHIP_SLOW_SECONDS", "soon"),
        ("LOGSHIP_REQUEST_ID_HEADER", "x-request-id:"),
        ("LOGSHIP_REQUEST_ID_HEADER", "X Request Id"),
        ("LOGSHIP_REQUEST_ID_HEADER", "x-日本"),
        ("LOGSHIP_REQUEST_ID_HEADER", "content-length"),
        ("LOGSHIP_ALLOW_HEADERS", "x-tenant, x y"),
    ],
)
def test_an_invalid_setting_is_ignored_with_one_warning(tmp_path: Path, name: str, value: str) -> None:
    done = run(tmp_path, **{name: value})
    assert (done.returncode, done.stdout) == (0, "runs\n")
    warning, *own = done.stderr.splitlines()
    assert name in warning
    assert "ignoring" in warning
    assert own == ["hello"], "the program's own line, as without logship"
    assert [message for _, message in messages(tmp_path)] == ["hello"]


def test_an_invalid_agent_is_ignored_with_one_warning(tmp_path: Path) -> None:
    done = run(tmp_path, LOGSHIP_AGENT="localhost")
    assert (done.returncode, done.stdout) == (0, "runs\n")
    assert done.stderr.count("'localhost'") == 1


def test_a_state_directory_that_cannot_be_made_costs_the_journal_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path, LOGSHIP_STATE_DIR=str(tmp_path / "file" / "state"))
    assert (done.returncode, done.stdout) == (0, "runs\n")
    assert done.stderr.count("The journal is in memory") == 1
    assert [message for _, message in messages(tmp_path)] == ["hello"]
