"""`logship up` listens, says where, stops cleanly, and reports why it cannot start."""

import json
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.cli.conftest import Logship, Up
from tests.collector.far_end import Sender, event

PYTHON = sys.executable


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_everything_stored(up: Up, logship: Logship, number: int) -> None:
    sender = Sender(up.port)
    chunks = [sender.packed(event(one)) for one in range(1, 30)]
    assert sender.acknowledged() == chunks[0]
    status, said = up.stop(number)
    acknowledged = 1
    while sender.acknowledged():
        acknowledged += 1
    sender.close()
    assert status == 0
    assert "Traceback" not in said
    assert len(logship("search", "--limit", "0").stdout.splitlines()) >= acknowledged


def test_health_has_the_collectors_counters(up: Up) -> None:
    up.put(1, 2)
    with urllib.request.urlopen(f"{up.http}/api/health") as answer:
        health = json.load(answer)
    assert (health["status"], health["stored_total"], health["acknowledged_total"]) == ("ok", 2, 1)


def test_an_open_stream_does_not_hold_up_the_end(up: Up) -> None:
    with urllib.request.urlopen(f"{up.http}/api/tail") as stream:
        assert stream.readline()
        assert up.stop()[0] == 0


def test_a_taken_address_is_said(up: Up, process: Logship, tmp_path: Path) -> None:
    told = process("up", "--dir", str(tmp_path / "b"), "--forward", f"127.0.0.1:{up.port}", "--http", "127.0.0.1:0")
    assert told.returncode == 2
    assert f"error: 127.0.0.1:{up.port} is in use" in told.stderr
    taken = up.http.removeprefix("http://")
    told = process("up", "--dir", str(tmp_path / "b"), "--forward", "127.0.0.1:0", "--http", taken)
    assert told.returncode == 2
    assert f"error: {taken} is in use" in told.stderr


def test_a_store_that_is_being_written_is_left_alone(up: Up, process: Logship) -> None:
    told = process("up", "--forward", "127.0.0.1:0", "--http", "127.0.0.1:0")
    assert told.returncode == 2
    assert f"is used by process {up.process.pid}" in told.stderr


def test_it_says_where_it_listens_and_what_to_do_next(tmp_path: Path) -> None:
    one = Up(tmp_path, "--unix", str(tmp_path / "f.sock"))
    sender = Sender(tmp_path / "f.sock")
    chunk = sender.packed(event(1))
    assert sender.acknowledged() == chunk
    sender.close()
    status, said = one.stop()
    assert status == 0
    assert "stopping" in said
    assert not (tmp_path / "f.sock").exists()


def test_a_token_is_asked_for(tmp_path: Path, logship: Logship) -> None:
    one = Up(tmp_path, LOGSHIP_TOKEN="s3cret")
    one.put(1)
    assert "requires a token" in logship("search", "--source", one.http).stderr
    assert logship("search", "--source", one.http, LOGSHIP_TOKEN="s3cret").returncode == 0
    assert one.stop()[0] == 0


def test_metrics_have_what_was_received_stored_and_acknowledged(up: Up) -> None:
    up.put(1, 2)
    with urllib.request.urlopen(f"{up.http}/metrics") as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))
    assert lines["logship_collector_received_events_total"] == "2.0"
    assert lines["logship_collector_stored_events_total"] == "2.0"
    assert lines["logship_collector_ack_seconds_count"] == "1.0"
    assert float(lines["logship_collector_received_bytes_total"]) > 0
    assert float(lines["logship_store_size_bytes"]) > 0
    assert {"logship_store_segments", "logship_store_oldest_unsealed_seconds"} <= set(lines)


def test_an_address_that_others_reach_needs_a_token(tmp_path: Path) -> None:
    one = Up(tmp_path, "--http", "0.0.0.0:0", "--token", "s3cret")
    try:
        port = one.http.rpartition(":")[2]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/count")
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/api/count", headers={"authorization": "Bearer s3cret"})
        assert json.load(urllib.request.urlopen(asked)) == {"count": 0}
    finally:
        assert one.stop()[0] == 0


def test_a_store_directory_that_is_gone_is_in_health_metrics_and_readiness(up: Up, tmp_path: Path) -> None:
    up.put(1)
    assert fetched(f"{up.http}/readyz") == (200, "ok\n")
    (tmp_path / "store").rename(tmp_path / "away")
    sentence = f"{tmp_path / 'store'} was removed, moved or unmounted"
    status, told = fetched(f"{up.http}/readyz")
    assert (status, told.startswith(sentence)) == (503, True)
    assert fetched(f"{up.http}/healthz") == (200, "ok\n")
    status, told = fetched(f"{up.http}/api/health")
    assert (status, json.loads(told)["stored_total"]) == (200, 1)
    assert json.loads(told)["status"].startswith(sentence)
    assert "logship_collector_stored_events_total 1.0" in fetched(f"{up.http}/metrics")[1]
    (tmp_path / "away").rename(tmp_path / "store")
    assert fetched(f"{up.http}/readyz") == (200, "ok\n")


def fetched(url: str) -> tuple[int, str]:
    """Status and text."""
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


FEW = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (80, 80)); os.execv(sys.argv[1], sys.argv[1:])"


def test_idle_connections_beyond_the_descriptors_stop_neither_senders_nor_http(tmp_path: Path) -> None:
    one = Up(tmp_path, prefix=(PYTHON, "-c", FEW))
    try:
        sender = Sender(one.port)
        http = int(one.http.rpartition(":")[2])
        idle = [socket.create_connection(("127.0.0.1", port), 10) for port in [one.port, http] * 100]
        chunk = sender.packed(event(1))
        assert sender.acknowledged() == chunk
        for connection in idle[1::2]:
            connection.close()
        ends = time.monotonic() + 20
        while (answer := fetched(f"{one.http}/api/health"))[
            0
        ] != 200:  # it notices a moment later that clients have left
            assert time.monotonic() < ends, answer
        health = json.loads(answer[1])
        assert health["refused_connections_total"] > 50
        assert health["http_refused_total"] > 50
        for connection in idle[::2]:
            connection.close()
        sender.close()
    finally:
        status, said = one.stop()
    assert status == 0
    assert "Traceback" not in said
    assert len(said.splitlines()) < 10


def test_a_thread_that_dies_ends_the_process_with_a_message(tmp_path: Path) -> None:
    """A thread of a library stands for any: it is started in the process from outside, by sitecustomize."""
    (tmp_path / "sitecustomize.py").write_text(
        "import threading, time\n"
        "def work():\n"
        "    while threading.excepthook is threading.__excepthook__: time.sleep(0.05)\n"
        "    1 / 0\n"
        "threading.Thread(target=work, name='fragile', daemon=True).start()\n"
    )
    one = Up(tmp_path / "state", PYTHONPATH=str(tmp_path))
    try:
        said = one.process.communicate(timeout=60)[1]
    finally:
        one.close()
    assert one.process.returncode == 70
    assert "the thread fragile died: ZeroDivisionError: division by zero" in said


def test_what_it_makes_is_of_its_user_alone(tmp_path: Path) -> None:
    one = Up(tmp_path / "state")
    one.put(1)
    assert one.stop()[0] == 0
    made = [tmp_path / "state", *(tmp_path / "state").rglob("*")]
    assert {path.name for path in made if path.stat().st_mode & 0o077} == set()


def test_the_first_line_is_what_the_store_holds_as_a_sentence(tmp_path: Path) -> None:
    one = Up(tmp_path)
    one.put(1)
    status, said = one.stop()
    assert status == 0
    assert said.startswith(f"the store in {tmp_path / 'store'} is empty\n")
    again = Up(tmp_path)
    assert again.stop()[1].startswith(f"the store in {tmp_path / 'store'} holds 1 ")
