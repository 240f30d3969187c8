"""`logship watch`: lines, JSON, a webhook that fails first, restarts, and a collector that is away; with real processes."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import COMMAND, Kept, Logship, Up, environment
from tests.conftest import first

SECONDS = 60.0


class Hook:
    """A server that takes notices: `statuses` are those of the next responses, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.posts = list(statuses), list[tuple[str, dict[str, Any], dict[str, str]]]()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                hook.posts.append((self.path, body, {name.lower(): value for name, value in self.headers.items()}))
                status = hook.statuses.pop(0) if hook.statuses else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("location", f"{hook.url}/elsewhere")
                self.end_headers()

            def do_GET(self) -> None:
                hook.posts.append((self.path, {}, {}))
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def accepted(self) -> list[dict[str, Any]]:
        return [body for _, body, _ in self.posts]


@pytest.fixture
def hook() -> Iterator[Callable[..., Hook]]:
    made: list[Hook] = []

    def make(*statuses: int) -> Hook:
        made.append(Hook(*statuses))
        return made[-1]

    yield make
    for one in made:
        one.server.shutdown()
        one.server.server_close()


class Watching:
    """`logship watch` as a process; its output goes to files, which a test may read while it runs."""

    def __init__(self, state: Path, *arguments: str, **more: str) -> None:
        self.out, self.err = state / "watch.out", state / "watch.err"
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self.process = subprocess.Popen(
                [*COMMAND, "watch", "--every", "1s", *arguments], env=environment(state, **more), stdout=out, stderr=err
            )

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[Callable[..., Watching]]:
    made: list[Watching] = []

    def start(*arguments: str, **more: str) -> Watching:
        made.append(Watching(tmp_path, *arguments, **more))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture
def shop(kept: Kept) -> Kept:
    """A store with a crash that is older than the delay of the watch."""
    crash(kept, 20)
    return kept


def crash(kept: Kept, seconds_ago: float, slot: int = 2) -> None:
    at_ns = time.time_ns() - int(seconds_ago * 10**9)
    common = {
        "service.name": "shop", "service.node.name": f"host/shop/w{slot}", "service.ephemeral_id": f"{slot:02d}" * 12,
        "logship.worker.slot": slot, "event.dataset": "logship.worker",
    }  # fmt: skip
    lost = {"event.action": "worker-lost", "logship.in_flight.count": 1, "logship.in_flight.requests": ["GET /slow 1234ms"]}
    ids = {"event.id": f"{common['service.ephemeral_id']}-{1:012d}", "event.sequence": 1}
    kept.store.append([(at_ns, common | lost | ids)])


def test_once_reports_a_crash_once_and_exits_with_whether_there_was_something_new(shop: Kept, logship: Logship) -> None:
    first, second = (logship("watch", "--once", "--source", shop.at) for _ in range(2))
    assert (first.returncode, second.returncode, second.stdout) == (0, 1, "")
    (line,) = first.stdout.splitlines()
    assert " began critical shop crash: w2 crashed, interrupting 1 request (longest: GET /slow 1234ms)" in line
    assert line.endswith('query: event.action: worker-lost and service.node.name: "host/shop/w2"')


def test_json_is_one_object_a_line(shop: Kept, logship: Logship) -> None:
    notice = json.loads(logship("watch", "--once", "--json", "--source", shop.at).stdout)
    assert (notice["event"], notice["finding"]["kind"], notice["finding"]["worker"]) == ("began", "death", "host/shop/w2")


def test_the_memory_is_a_private_file_and_a_damaged_one_is_named(shop: Kept, logship: Logship, tmp_path: Path) -> None:
    memory = tmp_path / "own" / "memory.json"
    assert logship("watch", "--once", "--source", shop.at, "--memory", str(memory)).returncode == 0
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600
    memory.write_text("{}")
    done = logship("watch", "--once", "--source", shop.at, "--memory", str(memory))
    assert done.returncode == 2
    assert f"{memory} is not a memory file of logship watch" in done.stderr


def test_an_end_is_reported_after_a_while(kept: Kept, logship: Logship) -> None:
    crash(kept, 400)
    begin, end = logship("watch", "--once", "--source", kept.at).stdout.splitlines()
    assert " began critical shop crash: " in begin
    assert " ended critical shop crash: " in end


def test_a_service_has_its_own_memory_and_findings(shop: Kept, logship: Logship) -> None:
    assert logship("watch", "--once", "--source", shop.at, "--service", "billing").returncode == 1
    assert logship("watch", "--once", "--source", shop.at, "--service", "shop").returncode == 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/secret", "file:///etc/passwd", "hooks.slack.com/secret", "http:///secret", "https://a:secret@host/x",
        "http://h/se cret",
    ],
)
def test_an_address_that_is_no_webhook_is_refused_and_not_shown(shop: Kept, logship: Logship, url: str) -> None:
    done = logship("watch", "--once", "--source", shop.at, "--webhook", url)
    assert done.returncode == 2
    assert "--webhook (LOGSHIP_WEBHOOK): " in done.stderr
    assert "secret@" not in done.stderr
    assert "/secret" not in done.stderr
    assert "se cret" not in done.stderr


def test_a_webhook_gets_json_and_slack_gets_text(shop: Kept, logship: Logship, hook: Callable[..., Hook], tmp_path: Path) -> None:
    server = hook()
    for format_ in ("generic", "slack"):
        memory = str(tmp_path / f"{format_}.json")
        arguments = ("--source", shop.at, "--memory", memory, "--format", format_)
        assert logship("watch", "--once", *arguments, LOGSHIP_WEBHOOK=f"{server.url}/x").returncode == 0
    generic, slack = server.accepted()
    assert (generic["event"], generic["finding"]["kind"]) == ("began", "death")
    assert generic["text"].partition(" ")[2] == slack["text"].partition(" ")[2]  # without the time of the round
    assert list(slack) == ["text"]
    assert server.posts[0][2]["idempotency-key"] == f"{generic['id']}-began"


@pytest.mark.parametrize("status", first(2, [500, 302, 404]))
def test_a_notice_that_a_webhook_refuses_is_kept_for_the_next_run(
    shop: Kept, logship: Logship, hook: Callable[..., Hook], status: int
) -> None:
    server = hook(status)
    arguments = ("watch", "--once", "--source", shop.at, "--webhook", f"{server.url}/T0/secret")
    first, second, third = (logship(*arguments) for _ in range(3))
    assert [done.returncode for done in (first, second, third)] == [3, 1, 1]
    assert f"it responded with status {status}" in first.stderr
    assert "1 notice not delivered, kept in " in first.stderr
    assert "secret" not in first.stderr
    assert [path for path, _, _ in server.posts] == ["/T0/secret"] * 2
    assert server.posts[0][1] == server.posts[1][1]


def test_a_webhook_that_fails_at_first_gets_everything_once_and_ctrl_c_ends_in_order(
    shop: Kept, watching: Callable[..., Watching], hook: Callable[..., Hook]
) -> None:
    server = hook(500, 503)
    process = watching("--source", shop.at, LOGSHIP_WEBHOOK=f"{server.url}/T0/secret")
    until(lambda: len(server.posts) == 3)
    crash(shop, 15, slot=3)
    until(lambda: len(server.posts) == 4)
    assert process.stop() == 0
    accepted = server.accepted()[2:]
    assert [body["finding"]["worker"] for body in accepted] == ["host/shop/w2", "host/shop/w3"]
    said = process.err.read_text()
    assert said.count("it responded with status 500; retrying, 1 notice kept") == 1
    assert "the webhook accepts notices again" in said
    assert "secret" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_repeats_nothing_and_forgets_nothing(
    shop: Kept, watching: Callable[..., Watching], hook: Callable[..., Hook], number: signal.Signals
) -> None:
    server = hook(*[500] * 100)
    first = watching("--source", shop.at, "--webhook", server.url)
    until(lambda: server.posts)
    assert first.stop(number) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    refused = len(server.posts)
    server.statuses.clear()
    second = watching("--source", shop.at, "--webhook", server.url)
    until(lambda: len(server.posts) > refused)
    crash(shop, 15, slot=3)
    until(lambda: len(server.posts) > refused + 1)
    assert second.stop() == 0
    workers = [body["finding"]["worker"] for body in server.accepted()[refused:]]
    assert workers == ["host/shop/w2", "host/shop/w3"]
    assert second.out.read_text().count(" began critical shop crash: w2 crashed") == 1


def test_a_second_watch_with_the_same_memory_is_refused(
    shop: Kept, watching: Callable[..., Watching], logship: Logship
) -> None:
    first = watching("--source", shop.at)
    until(lambda: " began " in first.out.read_text())
    done = logship("watch", "--once", "--source", shop.at)
    assert done.returncode == 2
    assert "another logship watch uses " in done.stderr


APP = """
import os
async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/die":
        os.kill(os.getpid(), 9)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def test_a_worker_killed_under_a_real_collector_is_reported_and_a_restarted_collector_is_waited_for(
    tmp_path: Path, watching: Callable[..., Watching], hook: Callable[..., Hook]
) -> None:
    server, up = hook(500), Up(tmp_path)
    process = watching("--source", up.http, "--webhook", server.url)
    (tmp_path / "shop_app.py").write_text(APP)
    variables = environment(tmp_path, LOGSHIP_AGENT=f"127.0.0.1:{up.port}", LOGSHIP_SERVICE="shop", PYTHONPATH=str(tmp_path))
    arguments = ["-m", "logship", "run", "uvicorn", "shop_app:app", "--workers", "2", "--port", "0"]
    arguments += ["--timeout-worker-healthcheck", "60"]
    service = subprocess.Popen(
        [sys.executable, *arguments], env=variables, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: len(_workers(up, tmp_path)) == 2)
        os.kill(_workers(up, tmp_path)[0]["pid"], signal.SIGKILL)
        until(lambda: len(server.posts) == 2)
        assert server.accepted()[1]["finding"]["kind"] == "death"
        assert server.accepted()[1]["finding"]["service"] == "shop"
        status, _ = up.stop()
        assert status == 0
        until(lambda: "retrying every 1 s" in process.err.read_text())
        again = Up(tmp_path, "--http", up.http.removeprefix("http://"))
        try:
            until(lambda: "the source is reachable again" in process.err.read_text())
        finally:
            again.close()
        assert process.stop() == 0
        assert process.err.read_text().count("retrying every 1 s") >= 1
        assert len(process.out.read_text().splitlines()) == 1
    finally:
        service.terminate()
        service.wait(SECONDS)
        up.close()


def _workers(up: Up, state: Path) -> list[dict[str, Any]]:
    command = [*COMMAND, "workers", "--json", "--last", "5m", "--source", up.http]
    done = subprocess.run(command, env=environment(state), capture_output=True, text=True, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()]
