"""`logship doctor` reports the state of every part, and what to do about problems."""

import http.server
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.state import aside
from logship.wire.handshake import ServerHandshake
from tests.cli.conftest import Kept, Logship, Up, environment

Found = dict[str, list[dict[str, str]]]


def doctor(logship: Logship, *arguments: str, **more: str) -> tuple[int, Found]:
    """Its status, and its findings by what they are about."""
    told = logship("doctor", "--json", *arguments, **more)
    assert "Traceback" not in told.stderr
    found: Found = {}
    for line in told.stdout.splitlines():
        row = json.loads(line)
        found.setdefault(row["what"], []).append(row)
    return told.returncode, found


def agent(up: Up) -> dict[str, str]:
    return {"LOGSHIP_AGENT": f"127.0.0.1:{up.port}", "LOGSHIP_SOURCE": up.http}


def test_a_collector_that_runs_is_found_well(up: Up, logship: Logship) -> None:
    status, found = doctor(logship, "--send", **agent(up))
    assert status == 0
    assert [one["mark"] for one in found["agent"]] == ["good"]
    assert "acknowledged after" in found["acknowledgement"][0]["found"]
    assert found["source"][0]["mark"] in {"good", "look"}
    assert "free" in found["state directory"][0]["found"]
    assert logship("count", "event.dataset: logship.doctor", "--source", up.http).stdout == "1\n"


def test_nobody_there_is_said_with_what_to_start(logship: Logship) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    status, found = doctor(logship, LOGSHIP_AGENT=f"127.0.0.1:{port}")
    assert status == 1
    assert found["agent"][0]["mark"] == "wrong"
    assert "logship up" in found["agent"][0]["advice"]
    assert found["source"][0]["mark"] == "look"


@pytest.fixture
def locked() -> Iterator[int]:
    """A port behind which somebody asks for the shared key "right"."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                shake = ServerHandshake("right", {}, "far")
                connection.sendall(shake.greeting)
                try:
                    while not shake.done and (received := connection.recv(4096)):
                        connection.sendall(shake.feed(received))
                except Exception as error:
                    connection.sendall(getattr(error, "answer", b""))

    thread = threading.Thread(target=serve)
    thread.start()
    yield server.getsockname()[1]
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


@pytest.mark.parametrize(
    ("key", "mark", "sentence"),
    [
        ("right", "good", "accepts the shared key"),
        ("wrong", "wrong", "mismatch"),
        ("", "wrong", "requires a shared key"),
    ],
)
def test_the_handshake_is_a_real_one(logship: Logship, locked: int, key: str, mark: str, sentence: str) -> None:
    _, found = doctor(logship, LOGSHIP_AGENT=f"127.0.0.1:{locked}", LOGSHIP_AGENT_SHARED_KEY=key)
    assert found["agent"][0]["mark"] == mark
    assert sentence in found["agent"][0]["found"]


def test_settings_that_make_no_sense_are_named(logship: Logship) -> None:
    _, found = doctor(
        logship,
        LOGSHIP_AGENT="off", LOGSHIP_JOURNAL_LIMIT_BYTES="2 GiB", LOGSHIP_SAMPLE_RATIO="0", LOGSHIP_HEARTBEAT_SECONDS="60",
    )  # fmt: skip
    said = " ".join(one["found"] for one in found["settings"])
    for words in ("more than state_limit_bytes", "sample_ratio is 0", "every 60 s", "agent is off"):
        assert words in said


def test_a_state_directory_that_cannot_be_written_is_wrong(logship: Logship, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, found = doctor(logship, LOGSHIP_STATE_DIR=str(tmp_path / "file" / "state"))
    assert status == 1
    assert found["state directory"][0]["mark"] == "wrong"


def test_a_journal_that_nobody_adopts_is_named(logship: Logship, tmp_path: Path) -> None:
    code = "import logship, os; logship.configure(agent='127.0.0.1:9', service='shop'); logship.get_logger().info('x')"
    subprocess.run(
        [sys.executable, "-c", code + f"; os.kill(os.getpid(), {signal.SIGKILL})"],
        env=environment(tmp_path),
        check=False,
    )
    _, found = doctor(logship)
    (finding,) = [one for one in found["journals"] if one["mark"] == "look"]
    assert "undelivered journal left by shop" in finding["found"]
    assert "logship up --adopt" in finding["advice"]


def test_what_was_set_aside_is_named_with_its_size(logship: Logship, tmp_path: Path) -> None:
    state = tmp_path
    for folder in ("refused", "unreadable"):
        aside.keep(state / folder, "one", b"x" * 2000)
    _, found = doctor(logship)
    said = [one["found"] for one in found["journals"] if one["mark"] == "look"]
    assert any(f"{state / 'refused'} holds records that the agent refused: 1 file," in one for one in said)
    assert any(f"{state / 'unreadable'} holds damaged journal segments" in one for one in said)


def test_a_state_directory_that_others_may_write_is_named(logship: Logship, tmp_path: Path) -> None:
    (tmp_path / "journals").mkdir()
    tmp_path.chmod(0o777)
    status, found = doctor(logship)
    assert status == 1
    (finding,) = [one for one in found["state directory"] if one["mark"] == "wrong"]
    assert "can be written by other users" in finding["found"] + finding["advice"]
    assert all(one["mark"] != "good" for one in found["journals"])


def test_a_worker_whose_journal_grows_is_named(logship: Logship, tmp_path: Path) -> None:
    code = (
        "import logship, time; logship.configure(agent='127.0.0.1:9', service='shop'); log = logship.get_logger()\n"
        "for _ in range(20_000): log.info('x' * 100)\n"
        "print('full', flush=True)\n"
        "while True: log.info('more'); time.sleep(0.01)"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code], env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"full\n"
        status, found = doctor(logship)
        assert status == 1
        said = [one["found"] for one in found["journals"] if one["mark"] == "wrong"]
        assert len(said) == 1
        assert "more than a second ago" in said[0]
    finally:
        worker.kill()
        worker.communicate()


@pytest.fixture
def fluent_bit(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What Fluent Bit answers at its port 2020, with an output that gave up."""

    class Answers(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            about = {"fluent-bit": {"version": "5.1.1"}}
            metrics = {"input": {"tail.0": {}}, "output": {"es.0": {"retries_failed": 3, "dropped_records": 120}}}
            body = json.dumps(metrics if self.path.endswith("metrics") else about).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 2020), Answers)
    except OSError:
        pytest.skip("somebody listens at 2020 here")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.usefixtures("fluent_bit")
def test_fluent_bit_is_asked_where_it_can_be(logship: Logship) -> None:
    _, found = doctor(logship, LOGSHIP_AGENT="127.0.0.1:9")
    said = [one["found"] for one in found["Fluent Bit"]]
    assert said[0].startswith("version 5.1.1")
    assert said[1] == "it has no forward input"
    assert "could not deliver 3 chunks and dropped 120 records" in said[2]


def test_a_state_directory_that_is_a_file_is_wrong(logship: Logship, tmp_path: Path) -> None:
    (tmp_path / "program").touch(mode=0o700)
    status, found = doctor(logship, LOGSHIP_STATE_DIR=str(tmp_path / "program"))
    assert (status, found["state directory"][0]["mark"]) == (1, "wrong")
    assert "is not a directory" in found["state directory"][0]["found"]


def test_a_collector_that_does_not_answer_is_not_said_to_answer(kept: Kept, logship: Logship) -> None:
    kept.put(1)
    _, found = doctor(logship, LOGSHIP_HTTP="127.0.0.1:9", LOGSHIP_STORE_DIR=kept.at)
    assert [one["mark"] for one in found["source"]] == ["look", "good"]
    assert "no collector listens at http://127.0.0.1:9" in found["source"][0]["found"]
    assert found["source"][1]["found"].startswith(kept.at)


def test_an_agent_that_does_not_acknowledge_is_told_as_such(logship: Logship) -> None:
    def hang_up() -> None:
        with server.accept()[0] as connection:
            connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hang_up).start()
        status, found = doctor(logship, "--send", LOGSHIP_AGENT=f"127.0.0.1:{server.getsockname()[1]}")
    assert (status, found["acknowledgement"][0]["mark"]) == (1, "wrong")
    assert "forward input" in found["acknowledgement"][0]["advice"]
