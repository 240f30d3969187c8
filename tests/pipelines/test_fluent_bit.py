"""The configuration for Fluent Bit, with the real one: its text, its samples through every output, its ways in."""

import base64
import contextlib
import gzip
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from logship.elastic import mapping
from logship.event.entry import TAG, pack
from tests.elastic.node import Server
from tests.pipelines import agent
from tests.pipelines.agent import CONFIG, Agent, to_elastic
from tests.proofs.scene import SHOPS, Process, environment, until
from tests.proofs.sender import Sender

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(300)

TEXT = CONFIG.read_text(encoding="utf-8")
SAMPLES: dict[str, Any] = json.loads((CONFIG.parent / "logship.samples.json").read_text(encoding="utf-8"))
EVENTS = 300
SECRETS = {"FLB_SHARED_KEY", "ES_PASSWORD", "SPLUNK_TOKEN", "HTTP_PASSWORD"}


def test_every_variable_is_in_the_file_of_variables_and_used() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == agent.defaults().keys()


def test_no_secret_is_in_a_file() -> None:
    assert {agent.defaults()[name] for name in SECRETS} <= {"", "none"}
    assert not re.search(r"(?m)^\s*(env|includes):", TEXT)


def test_one_output_is_chosen_by_default() -> None:
    chosen = {name: agent.defaults()[name] for name in agent.OUTPUTS}
    assert chosen == dict.fromkeys(agent.OUTPUTS, "none") | {"FLB_TO_ELASTICSEARCH": TAG}


def test_what_fluent_bit_does_not_check_itself() -> None:
    """A dry run takes any value of these for right, and each of them was seen to lose acknowledged events."""
    inputs, outputs = TEXT.partition("  inputs:")[2].split("  outputs:")
    assert len(re.findall(r"(?m)^\s+storage.type: filesystem\b", inputs)) == inputs.count("- name: forward") == 2
    assert not re.search(r"(?m)^\s+(threaded|workers):", inputs)
    for line in ("storage.checksum: off", "storage.keep.rejected: on", "scheduler.base: 1"):
        assert re.search(rf"(?m)^  {re.escape(line)}\b", TEXT), line
    for line in ("write_operation: create", "id_key: event.id", "buffer_size: false", "net.io_timeout: 60"):
        assert re.search(rf"(?m)^      {re.escape(line)}\b", outputs), line
    networked = outputs.count("- name: ") - outputs.count("- name: file")
    assert len(re.findall(r"(?m)^      retry_limit: 3000\b", outputs)) == networked


@agent.needed
def test_the_real_one_finds_nothing_wrong(tmp_path: Path) -> None:
    run = subprocess.run(
        [agent.BINARY or "", "-c", CONFIG, "--dry-run"],
        env=environment(**agent.defaults()),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "configuration test is successful" in run.stdout + run.stderr


class Asked:
    """What an HTTP server was sent."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, dict[str, str], bytes]] = []
        self.port = 0

    def lines(self, path: str) -> list[dict[str, Any]]:
        """Every JSON value sent to `path`."""
        text = b"".join(body for asked, _, body in self.bodies if asked.startswith(path)).decode()
        decoder, found = json.JSONDecoder(), []
        while text := text.lstrip():
            value, end = decoder.raw_decode(text)
            found.append(value)
            text = text[end:]
        return found


@contextmanager
def far_end() -> Iterator[Asked]:
    """An HTTP server that says yes to everything."""
    asked = Asked()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.bodies.append((self.path, headers, body))
            answer = b'{"text":"Success","code":0}'
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    asked.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@agent.needed
def test_samples_come_out_of_every_output_as_said(tmp_path: Path, elastic: Server, namespace: str) -> None:
    with far_end() as asked:
        changes = to_elastic(elastic, namespace) | {
            "FLB_TO_SPLUNK": TAG,
            "SPLUNK_PORT": str(asked.port),
            "SPLUNK_TLS": "off",
            "SPLUNK_TOKEN": "the-token",
            "FLB_TO_HTTP": TAG,
            "HTTP_PORT": str(asked.port),
            "HTTP_PATH": "/events",
            "HTTP_USER": "ada",
            "HTTP_PASSWORD": "lovelace",
            "FLB_TO_FILE": TAG,
        }
        with Agent(tmp_path, changes) as fluent_bit:
            fluent_bit.wait_ready()
            with Sender(fluent_bit.port) as sender:
                entries = [pack(sample["time_ns"], sample["in"]) for sample in SAMPLES["samples"]]
                chunk = sender.send(TAG, entries)
                assert sender.acknowledged() == chunk
            size, stream, out = len(entries), mapping.stream(namespace), tmp_path / "out/logship.jsonl"
            until(lambda: elastic.count(stream) == size, fluent_bit.said)
            until(
                lambda: len(asked.lines("/services/collector")) == size == len(asked.lines("/events")), fluent_bit.said
            )
            until(lambda: out.exists() and len(out.read_text().splitlines()) == size, fluent_bit.said)
    hits = {hit["_id"]: hit["_source"] for hit in elastic.hits(stream)}
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    for sample, event, line, written in zip(
        SAMPLES["samples"], asked.lines("/services/collector"), asked.lines("/events"), lines, strict=True
    ):
        assert hits[sample["in"]["event.id"]] == sample["in"] | sample["elasticsearch"]
        assert event == {**SAMPLES["splunk"], "time": sample["splunk_time"], "event": sample["in"]}
        assert line == sample["in"] | sample["http"]
        assert written == sample["in"]
    sent = {path: headers for path, headers, _ in asked.bodies}
    assert sent["/services/collector/event"]["authorization"] == "Splunk the-token"
    assert sent["/events"]["authorization"] == "Basic " + base64.b64encode(b"ada:lovelace").decode()


def burst(folder: Path, address: str, **settings: str) -> Process:
    """A process of ours that logs EVENTS lines and ends when they are acknowledged."""
    around = environment(
        LOGSHIP_STATE_DIR=str(folder / "state"), LOGSHIP_AGENT=address, LOGSHIP_SERVICE="burst", **settings
    )
    return Process([sys.executable, SHOPS / "burst.py", str(EVENTS)], around, folder / "burst.txt")


def check_all_arrive(folder: Path, fluent_bit: Agent, address: str, **settings: str) -> None:
    """Every line of a burst to `address` comes out, in order."""
    with burst(folder, address, **settings) as sender:
        until(sender.ended, lambda: sender.said() + fluent_bit.said())
        assert sender.process is not None
        assert sender.process.returncode == 0, sender.said()
    out = folder / "out/logship.jsonl"
    until(lambda: out.exists() and len(out.read_text().splitlines()) >= EVENTS + 1, fluent_bit.said)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    numbers = [line["numeric_labels"]["number"] for line in lines if line["message"] == "line"]
    assert numbers == list(range(EVENTS))


@agent.needed
def test_the_unix_socket_is_a_way_in(tmp_path: Path) -> None:
    with Agent(tmp_path, {"FLB_TO_FILE": TAG}) as fluent_bit:
        fluent_bit.wait_ready()
        check_all_arrive(tmp_path, fluent_bit, f"unix://{fluent_bit.socket}")


@agent.needed
def test_tls_with_a_shared_key_is_a_way_in(tmp_path: Path, certificate: tuple[str, str]) -> None:
    secured = {"FLB_TLS": "on", "FLB_TLS_CERT_FILE": certificate[0], "FLB_TLS_KEY_FILE": certificate[1]}
    with Agent(tmp_path, {"FLB_TO_FILE": TAG, "FLB_SHARED_KEY": "salt", **secured}) as fluent_bit:
        fluent_bit.wait_ready()
        address = f"tls://localhost:{fluent_bit.port}"
        check_all_arrive(
            tmp_path, fluent_bit, address, LOGSHIP_AGENT_CA_FILE=certificate[0], LOGSHIP_AGENT_SHARED_KEY="salt"
        )


@agent.needed
def test_another_key_is_refused(tmp_path: Path) -> None:
    with Agent(tmp_path, {"FLB_TO_FILE": TAG, "FLB_SHARED_KEY": "salt"}) as fluent_bit:
        fluent_bit.wait_ready()
        with burst(tmp_path, f"127.0.0.1:{fluent_bit.port}", LOGSHIP_AGENT_SHARED_KEY="pepper") as sender:
            until(lambda: "no acknowledgement from the agent" in sender.said(), sender.said)
        assert "key" in sender.said()


def answers(health: Server, path: str) -> bool:
    """Its HTTP server starts after its inputs, and has numbers after the first second."""
    with contextlib.suppress(OSError):
        return health.ask("GET", path)[0] == 200
    return False


@agent.needed
def test_health_and_metrics_answer(tmp_path: Path) -> None:
    with Agent(tmp_path, {"FLB_TO_FILE": TAG}) as fluent_bit:
        fluent_bit.wait_ready()
        health = Server(f"http://127.0.0.1:{fluent_bit.http}")
        until(lambda: answers(health, "/api/v1/metrics"), fluent_bit.said)
        outputs = health.must("GET", "/api/v1/metrics")["output"]
        assert set(outputs) == {"elasticsearch", "splunk", "http", "file"}
        until(lambda: answers(health, "/api/v1/storage"), fluent_bit.said)
        assert health.must("GET", "/api/v1/storage")["storage_layer"]["chunks"]["total_chunks"] == 0
