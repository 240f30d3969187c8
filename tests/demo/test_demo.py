"""The demo: real workers, a real accident, an account without a loss, and nothing left behind; the page tells the story."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

PATIENCE_SECONDS = 120
COMMAND = [sys.executable, "-m", "logship", "demo"]


def lines_until(process: "subprocess.Popen[str]", pattern: str) -> str:
    """Read what the demo says until a line fits; the match."""
    assert process.stderr is not None
    heard = []
    for line in process.stderr:
        heard.append(line)
        if found := re.search(pattern, line):
            return found[1]
    raise AssertionError(f"the demo never said {pattern}: {''.join(heard)}")


def left_of(folder: Path) -> list[int]:
    """Processes that were started under this directory for temporary files and are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"TMPDIR={folder}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def test_a_worker_dies_in_the_demo_and_no_event_is_lost(tmp_path: Path) -> None:
    command = [*COMMAND, "--seconds", "9", "--workers", "2", "--json"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout.splitlines()[0])
    assert outcome["lost"] == 0
    assert outcome["stored"] == outcome["emitted"] > 100
    assert outcome["killed"] in [one["pid"] for one in outcome["verdicts"] if one["state"] == "lost"]
    assert "reads its prices from disk" in done.stderr
    (blocked,) = [sentence for sentence in outcome["findings"] if "blocked" in sentence and "look_up" in sentence]
    source = (Path(__file__).parents[2] / "logship/demo/shop.py").read_text().splitlines()
    line = 1 + next(number for number, text in enumerate(source) if "time.sleep(blocked)" in text)
    assert f"in Prices.look_up (logship/demo/shop.py:{line})" in blocked


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="/proc is not here: who was left cannot be told")
def test_a_demo_that_is_asked_to_end_leaves_nobody_behind(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([*COMMAND, "--workers", "1"], env=environment, stdout=-3, stderr=-1, text=True) as process:
        lines_until(process, "(running until)")
        assert len(left_of(tmp_path)) > 2
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        process.stderr.read()
        assert process.wait(PATIENCE_SECONDS) == 0
    assert left_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    from tests.page.browsing import Visit, chromium

    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with (
        subprocess.Popen(COMMAND, env=environment, stdout=-3, stderr=-1, text=True) as process,
        chromium() as browser,
    ):
        url = lines_until(process, r"page +(http\S+)/\?last=5m")
        lines_until(process, "(was killed with -9)")
        visit = Visit(browser, url)
        yield visit
        visit.close()
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        process.stderr.read()


@pytest.mark.prove
def test_who_was_slow_why_and_what_was_in_flight_is_found_by_clicking_only(page: Any) -> None:
    from tests.page.browsing import wait
    from tests.page.test_browser import address

    until = time.monotonic() + PATIENCE_SECONDS
    while httpx.get(f"{page.url}/api/count?q=event.action:worker-lost", timeout=30).json()["count"] == 0:
        assert time.monotonic() < until
        time.sleep(0.5)
    view = page.go("/?last=5m")
    slow = wait(view, ".stands li", "is slower than the others").inner_text()
    print(slow)
    wait(view, ".stands li", "Its event loop was held up")
    wait(view, ".stands li", "BankUnreachable")
    wait(view, ".stands a", "what it warned of").click()
    wait(view, ".row", "the prices were read from disk").click()
    wait(view, ".details a", "The request").click()
    wait(view, "h1", "/orders/")
    wait(view, "h2", "Its neighbours on")
    page.go("/?last=5m")
    died = wait(view, ".stands li", re.compile(r"died at .* in flight")).inner_text()
    print(died)
    wait(view, ".stands .pill", "GET /report").click()
    wait(view, ".notice", "This request was cut off")
    wait(view, ".notice a").click()
    address(view, "/w/")
    wait(view, ".bad-edge th", "GET /report")
