"""The shipping thread: deadlines, death and fork, sinks that nobody reads, and the journals of dead workers."""

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from logship.event import entry
from logship.settings import load
from logship.state import home, locks
from logship.state.identity import Cell
from logship.worker import shipper as shippers
from logship.worker.configure import _make
from logship.worker.line import Line, LoopLag
from logship.worker.shipper import Shipper, json_line, pretty_line
from tests.worker.far_agent import AwakeAgent, Got, Peer, entries
from tests.worker.serving import until

ROOT = Path(__file__).parent.parent.parent
Make = Callable[..., Line]


@pytest.fixture
def far() -> Iterator[AwakeAgent]:
    agent = AwakeAgent()
    yield agent
    agent.close()


@pytest.fixture
def a_line(tmp_path: Path) -> Iterator[Make]:
    """Makes the line of a worker whose state directory is `tmp_path`/state; all end with the test."""
    made: list[Line] = []

    def make(agent: AwakeAgent | str, **options: object) -> Line:
        address = agent if isinstance(agent, str) else agent.address
        settings = {"agent": address, "state_dir": tmp_path / "state", "service": "shop", "console": "off", **options}
        made.append(_make(load(settings, {})))
        return made[-1]

    yield make
    for line in made:
        assert line.shipper is not None
        line.shipper.end()
        if line.journal.directory is not None:
            locks.release(line.journal.directory / "lock")


def log(line: Line, *texts: str, size_bytes: int = 0) -> None:
    for text in texts:
        assert line.record({"message": text, "labels": {"filler": "x" * size_bytes}})


def the_shipper(line: Line) -> Shipper:
    assert isinstance(line.shipper, Shipper)
    return line.shipper


# Deadlines.


def test_flush_comes_back_true_when_everything_is_acknowledged(a_line: Make, far: AwakeAgent) -> None:
    line = a_line(far)
    log(line, *map(str, range(1200)))
    assert the_shipper(line).flush(20)
    assert far.stored() == [str(number) for number in range(1200)]
    assert line.journal.pending_events() == 0


def test_flush_comes_back_false_at_its_deadline_and_the_events_stay(a_line: Make, far: AwakeAgent) -> None:
    far.answer = lambda peer, frame: None
    line = a_line(far)
    log(line, "one")
    assert not the_shipper(line).flush(0.2)
    assert not the_shipper(line).flush(0)
    assert line.journal.pending_events() == 1


def test_flush_waits_for_what_was_logged_before_and_not_for_those_who_go_on_logging(
    a_line: Make, far: AwakeAgent
) -> None:
    line = a_line(far)
    going_on = True

    def talk() -> None:
        while going_on:
            line.record({"message": "talk"})
            time.sleep(0.0005)

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        for number in range(5):
            log(line, f"before {number}")
            assert the_shipper(line).flush(20)
            assert f"before {number}" in far.stored()
    finally:
        going_on = False
        talker.join()


def test_flush_of_a_journal_without_an_agent_or_without_events_has_nothing_to_wait_for(a_line: Make) -> None:
    line = a_line("off")
    assert the_shipper(line).flush(60)
    log(line, "kept")
    assert the_shipper(line).flush(60)
    assert line.journal.pending_events() == 1


def test_after_stop_events_stay_in_the_journal_and_flush_ships_them_all_the_same(a_line: Make, far: AwakeAgent) -> None:
    line = a_line(far)
    log(line, "before")
    assert the_shipper(line).stop(20)
    log(line, "after")
    the_shipper(line).wake()
    the_shipper(line).revive()
    assert not the_shipper(line).alive()
    assert line.journal.pending_events() == 1
    assert the_shipper(line).flush(20)
    assert far.stored() == ["before", "after"]


# A thread that dies. pytest would report its end, which here is the point.

dying = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class Dies:
    """A chore that ends the thread it is called from, as nothing of ours should."""

    def __init__(self) -> None:
        self.times = 0

    def tick(self, now: float) -> float:
        self.times += 1
        if self.times == 1:
            raise SystemExit
        return 60.0


def dead_in(line: Line) -> Shipper:
    ships = the_shipper(line)
    ships._chores.append(Dies())
    ships._due.append(0.0)
    ships.wake()
    until(lambda: not ships.alive(), "the thread to die")
    return ships


@dying
def test_a_thread_that_died_is_started_again_by_a_full_segment(a_line: Make, far: AwakeAgent) -> None:
    line = a_line(far)
    log(line, "before")
    assert the_shipper(line).flush(20)
    dead_in(line)
    log(line, *(f"event {number}" for number in range(30)), size_bytes=50_000)
    until(lambda: not line.journal.pending_events(), "everything to arrive")
    assert far.stored() == ["before", *(f"event {number}" for number in range(30))]


@dying
def test_a_thread_that_died_is_started_again_by_flush(a_line: Make, far: AwakeAgent) -> None:
    line = a_line(far)
    ships = dead_in(line)
    log(line, "one")
    assert ships.flush(20)
    assert far.stored() == ["one"]


@dying
def test_a_thread_that_died_is_started_again_by_the_event_loop_of_the_server(
    a_line: Make, far: AwakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logship.worker.line.LAG_EVERY_SECONDS", 0.01)
    line = a_line(far)
    ships = dead_in(line)
    log(line, "one")

    async def serve() -> None:
        LoopLag(asyncio.get_running_loop(), line.revive)
        while line.journal.pending_events():
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(serve(), 20))
    assert ships.alive()
    assert far.stored() == ["one"]


def test_a_chore_that_stumbles_is_said_and_holds_up_nobody(
    a_line: Make, far: AwakeAgent, caplog: pytest.LogCaptureFixture
) -> None:
    class Stumbles:
        def tick(self, now: float) -> float:
            raise ValueError("not today")

    logging.getLogger("logship").propagate = True
    line = a_line(far)
    ships = the_shipper(line)
    ships._chores.insert(0, Stumbles())
    ships._due.insert(0, 0.0)
    log(line, "one")
    assert ships.flush(20)
    assert [record.message for record in caplog.records] == ["Stumbles stumbled and is tried again later"]


def test_an_outlet_that_stumbles_is_tried_again_and_nothing_is_lost(
    a_line: Make, far: AwakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = a_line(far)
    outlet = the_shipper(line).outlet
    step, failures = outlet.step, iter([MemoryError()])

    def once(now: float) -> None:
        for failure in failures:
            raise failure
        step(now)

    monkeypatch.setattr(outlet, "step", once)
    log(line, "one")
    assert the_shipper(line).flush(20)
    assert far.stored() == ["one"]


def run(script: str, tmp_path: Path, **more: Any) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LOGSHIP_")}
    environment |= {
        "LOGSHIP_STATE_DIR": str(tmp_path / "state"),
        "PYTHONPATH": str(ROOT),
        **more.pop("environment", {}),
    }
    words = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(words, env=environment, check=True, timeout=60, **more)


def test_after_fork_each_process_has_its_own_journal_and_its_own_thread(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run(
        f"""
        import os, sys, threading
        import logship
        logship.configure(agent="file:{out}", service="shop")
        log = logship.get_logger()
        log.info("parent before")
        assert logship.flush(10)
        for number in range(3):
            pid = os.fork()
            if pid == 0:
                assert [one.name for one in threading.enumerate()] == ["MainThread"]
                log.info(f"child {{number}}")
                assert "logship-shipper" in [one.name for one in threading.enumerate()]
                if number == 2 and os.fork() == 0:
                    log.info("grandchild")
                    sys.exit()
                if number == 2:
                    os.wait()
                sys.exit()
        for _ in range(3):
            assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        log.info("parent after")
        """,
        tmp_path,
    )
    events = [orjson.loads(text) for text in out.read_bytes().splitlines()]
    said = [event for event in events if event["event.dataset"] == "logship.app"]
    wanted = ["child 0", "child 1", "child 2", "grandchild", "parent after", "parent before"]
    assert sorted(event["message"] for event in said) == wanted
    lives = {event["service.ephemeral_id"]: event["process.pid"] for event in said}
    assert len(lives) == len(set(lives.values())) == 5
    assert len({event["event.id"] for event in events}) == len(events)
    assert home.incarnations(tmp_path / "state") == [] or all(
        (tmp_path / "state" / "journals" / name).is_dir() for name in home.incarnations(tmp_path / "state")
    )


# Sinks.


def test_a_pipe_that_nobody_reads_stops_only_the_sink(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    errors = (tmp_path / "errors").open("wb")
    script = f"""
        import os, time, logship
        logship.configure(agent="stdout", service="shop", console="off")
        log = logship.get_logger()
        for number in range(400):
            log.info(f"event {{number}}", filler="x" * 15_000)
        assert not logship.flush(0.3)
        from logship.worker import line
        journal = line.existing().journal
        assert os.get_blocking(1), "the application's own descriptor is as it was"
        assert sum(journal.identity.dropped().values()) == 0
        assert len(os.listdir(journal.directory)) > 6 + 3, "segments were made all the while"
        open({str(tmp_path / "ready")!r}, "w").close()
        assert logship.flush(30)
    """
    environment = {"LOGSHIP_STATE_DIR": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    process = subprocess.Popen(command, stdout=writer, stderr=errors, env={**os.environ, **environment})
    os.close(writer)
    said = (tmp_path / "errors").read_text
    until(lambda: (tmp_path / "ready").exists() or process.poll() is not None, f"the script to have logged\n{said()}")
    with open(reader, "rb") as pipe:
        lines = pipe.read().splitlines()
    assert process.wait() == 0, said()
    errors.close()
    events = [orjson.loads(text) for text in lines]
    app = [event["message"] for event in events if event["event.dataset"] == "logship.app"]
    assert app == [f"event {number}" for number in range(400)]


def test_a_reader_that_went_away_is_a_trouble_and_the_events_stay(a_line: Make, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    line = a_line(f"file:{path}")
    log(line, "one")
    assert the_shipper(line).flush(20)
    os.close(reader)
    log(line, "two")
    until(lambda: the_shipper(line).outlet.trouble, "the trouble")
    assert "Broken pipe" in the_shipper(line).outlet.trouble
    assert line.journal.pending_events() == 1


def test_a_file_gets_whole_lines_in_order_and_is_only_for_us(a_line: Make, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    line = a_line(f"file:{path}")
    log(line, *map(str, range(1500)))
    assert the_shipper(line).flush(20)
    assert [orjson.loads(text)["message"] for text in path.read_bytes().splitlines()] == [str(n) for n in range(1500)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_missing_is_a_trouble_until_it_is_there(a_line: Make, tmp_path: Path) -> None:
    path = tmp_path / "later" / "out.jsonl"
    line = a_line(f"file:{path}")
    log(line, "one")
    until(lambda: "No such file" in the_shipper(line).outlet.trouble, "the trouble")
    path.parent.mkdir()
    assert the_shipper(line).flush(20)


def record(**fields: object) -> bytes:
    named = {name.replace("__", "."): value for name, value in fields.items()}
    return entry.whole(1_700_000_000_123_456_789, named, "0" * 24, 7)


def test_a_line_of_json_begins_with_the_time_in_nanoseconds() -> None:
    line = json_line(record(message="hello"))
    assert line.startswith(b'{"@timestamp":"2023-11-14T22:13:20.123456789Z"')
    assert line.endswith(b"\n")
    assert orjson.loads(line)["message"] == "hello"


def test_a_line_for_a_person_has_level_worker_message_and_own_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    fields = {
        "log__level": "warning",
        "logship__worker__slot": 3,
        "labels": {"user": "ann"},
        "numeric_labels": {"n": 1},
    }
    line = pretty_line(record(message="low", **fields), color=False).decode()
    assert line == "22:13:20.123 warning  w3  low  user=ann  n=1\n"
    assert pretty_line(record(message="x", event__action="worker-heartbeat"), color=False) == b""
    stack = pretty_line(record(message="x", error__stack_trace="Traceback\n  boom"), color=False).decode()
    assert stack.endswith("x\n    Traceback\n      boom\n")


@pytest.mark.parametrize("color", [False, True])
def test_nothing_that_is_logged_can_steer_the_terminal(color: bool) -> None:
    evil = "\x1b[2J\x1b]0;owned\x07\r\x9b31m\u202e\x00"
    line = pretty_line(record(message=evil, labels={evil: evil}, error__stack_trace=f"a\n{evil}\x0b{evil}"), color)
    ours = line.decode()
    for code in ("\x1b[32m", "\x1b[2m", "\x1b[0m"):
        ours = ours.replace(code, "")
    assert all(one.isprintable() or one == "\n" for one in ours)
    assert ("\x1b[32m" in line.decode()) == color
    assert ours.count("\n") == 1 + len(f"a\n{evil}\x0b{evil}".splitlines())


@pytest.mark.parametrize(("environment", "colored"), [({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({}, True)])
def test_no_color_is_obeyed_on_a_terminal(tmp_path: Path, environment: dict[str, str], colored: bool) -> None:
    master, slave = os.openpty()
    script = """
        import logship
        logship.configure(agent="console", service="shop")
        logship.get_logger().warning("hello", who="ann")
        assert logship.flush(10)
    """
    without = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    run(script, tmp_path, stderr=slave, environment={**without, **environment} if environment else without)
    os.close(slave)
    said = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        said += piece
    os.close(master)
    assert b"hello" in said
    assert b"who=ann" in said
    assert (b"\x1b[33m" in said) == colored


def test_a_record_that_cannot_be_shown_does_not_stop_those_behind_it(a_line: Make, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    line = a_line(f"file:{path}")
    with line.journal.locked():
        assert line.journal.append((b"\x92 no entry at all",))
        log(line, "behind")
    assert the_shipper(line).flush(20)
    first, second = [orjson.loads(text) for text in path.read_bytes().splitlines()]
    assert "cannot be read" in first["message"]
    assert second["message"] == "behind"


def test_a_console_that_is_closed_does_not_keep_a_worker_from_starting(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run(
        f"""
        import os, sys
        os.close(2)
        sys.stderr = None
        import logship
        logship.configure(agent="file:{out}", console="on")
        logship.get_logger().info("one")
        assert logship.flush(10)
        """,
        tmp_path,
    )
    assert b"one" in out.read_bytes()


# Words.


def test_an_agent_that_never_answers_is_named_once(
    a_line: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shippers, "WARN_AFTER_SECONDS", 0.05)
    logging.getLogger("logship").propagate = True
    line = a_line("127.0.0.1:9")
    log(line, "one")
    until(lambda: caplog.records, "the warning")
    for _ in range(10):
        the_shipper(line).wake()
        time.sleep(0.02)
    (warning,) = caplog.records
    assert "127.0.0.1:9" in warning.message
    assert "connection refused" in warning.message
    assert "LOGSHIP_AGENT" in warning.message
    assert warning.levelno == logging.WARNING


def test_an_agent_that_has_answered_is_not_warned_of(
    a_line: Make, far: AwakeAgent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("logship").propagate = True
    line = a_line(far)
    log(line, "one")
    assert the_shipper(line).flush(20)
    monkeypatch.setattr(shippers, "WARN_AFTER_SECONDS", 0.0)
    far.answer = lambda peer, frame: None
    log(line, "two")
    until(lambda: len(far.got) == 2, "the second frame")
    assert caplog.records == []


# The journals of dead workers.


def a_dead_worker(
    tmp_path: Path, agent: str, name: str, events: int = 3, goodbye: bool = False, **facts: object
) -> Path:
    """The journal of a worker that was killed after `events` events (or had said goodbye before)."""
    script = f"""
        import os, time
        from pathlib import Path
        from logship.event import entry
        from logship.state import home
        from logship.state.identity import Cell, Facts
        from logship.state.journal import Journal
        facts = dict(service="shop", agent={agent!r}, role="worker", host="h", pid=os.getpid()) | {facts!r}
        journal = Journal(home.open_home(Path({str(tmp_path / "state")!r})).journals, Facts(**facts), 16 << 20)
        journal.cells[Cell.SLOT] = 1
        for number in range({events}):
            journal.prepare()
            fields = {{"message": f"{name} {{number}}", "labels": {{"filler": "x" * 2000}}}}
            assert journal.append((entry.begin(time.time_ns(), 2), entry.pairs(fields)))
        if {goodbye}:
            journal.cells[Cell.CLOSING] = journal.cells[Cell.SEQUENCE] + 1
        print(journal.directory, flush=True)
        os._exit(0)
    """
    return Path(run(script, tmp_path, stdout=subprocess.PIPE).stdout.decode().strip())


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logship.worker.feed.ADOPT_SECONDS", 0.02)


@pytest.mark.usefixtures("at_once")
def test_what_dead_workers_left_is_shipped_beside_our_own_and_removed(
    a_line: Make, far: AwakeAgent, tmp_path: Path
) -> None:
    dead = [a_dead_worker(tmp_path, far.address, f"dead{number}", 700, goodbye=number == 1) for number in range(3)]
    other = a_dead_worker(tmp_path, far.address, "other", service="billing")
    elsewhere = a_dead_worker(tmp_path, "10.0.0.1:24224", "elsewhere")
    line = a_line(far)
    for number in range(200):
        log(line, f"own {number}")
        time.sleep(0.001)
    until(lambda: not any(path.exists() for path in dead), "the dead workers' journals to be removed")
    assert the_shipper(line).flush(20)
    wanted = {f"dead{worker} {number}" for worker in range(3) for number in range(700)}
    wanted |= {f"own {number}" for number in range(200)}
    arrived = [message for message in far.stored() if not message.startswith("worker")]
    assert set(arrived) == wanted
    assert len(arrived) == len(wanted), "each once"
    assert len(far.stored()) - len(arrived) == 2, "a report for each that said no goodbye"
    assert other.exists()
    assert elsewhere.exists()


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("goodbye", [True, False])
def test_a_dead_workers_journal_stays_until_its_last_event_is_acknowledged(
    a_line: Make, far: AwakeAgent, tmp_path: Path, goodbye: bool
) -> None:
    path = a_dead_worker(tmp_path, far.address, "dead", goodbye=goodbye)
    far.answer = lambda peer, frame: None
    line = a_line(far)
    until(lambda: far.got, "the first frame")
    for _ in range(20):
        the_shipper(line).wake()
        time.sleep(0.005)
    assert path.exists()
    for frame in far.got:
        far.peers[0].acknowledge(frame.chunk)
    far.answer = lambda peer, frame: peer.acknowledge(frame.chunk)
    until(lambda: not path.exists(), "the journal to be removed")


@pytest.mark.usefixtures("at_once")
def test_a_journal_that_cannot_be_read_is_kept_said_once_and_passed_over(
    a_line: Make, far: AwakeAgent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("logship").propagate = True
    broken = a_dead_worker(tmp_path, far.address, "broken")
    foreign = a_dead_worker(tmp_path, far.address, "foreign")
    with (broken / "00000001.segment").open("r+b") as file:
        file.write(b"LSHIPSG9")
    with (foreign / "identity").open("r+b") as file:
        file.write(b"LSHIPID9")
    good = a_dead_worker(tmp_path, far.address, "good")
    line = a_line(far)
    until(lambda: not good.exists(), "the good one to be shipped")
    for _ in range(20):
        the_shipper(line).wake()
        time.sleep(0.005)
    assert (broken / "00000001.segment").exists()
    assert (foreign / "00000001.segment").exists()
    said = [record.message for record in caplog.records]
    assert len(said) == 2, said
    assert {name for name in (broken.name, foreign.name) for text in said if name in text} == {
        broken.name,
        foreign.name,
    }


@pytest.mark.usefixtures("at_once")
def test_over_the_total_limit_the_oldest_dead_workers_events_go_first_even_while_no_agent_answers(
    a_line: Make, far: AwakeAgent, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("logship").propagate = True
    told: list[dict[str, Any]] = []
    far.answer = lambda peer, frame: None
    dead = [a_dead_worker(tmp_path, far.address, f"dead{number}", 900, goodbye=number == 0) for number in range(4)]
    line = a_line(far, state_limit_bytes=16 * 2**20)
    until(lambda: not list(dead[0].glob("*.segment")), "the oldest to be given up")
    until(lambda: _size(tmp_path / "state" / "journals") <= 16 * 2**20, "the limit to be kept")
    assert list(dead[3].glob("*.segment")), "the newest is kept"
    assert any("LOGSHIP_STATE_LIMIT_BYTES" in record.message for record in caplog.records)

    def store(peer: Peer, frame: Got) -> None:
        told.extend(one for _, one in entries(frame.body) if "logship.dropped.state_limit" in one)
        peer.acknowledge(frame.chunk)

    far.answer = store
    for peer in far.peers:
        peer.socket.shutdown(2)
    until(lambda: not any(path.exists() for path in dead), "everything else to be shipped")
    assert the_shipper(line).flush(20)
    lost = {one["service.ephemeral_id"]: one["logship.dropped.state_limit"] for one in told}
    assert lost[dead[0].name] == 900, "its goodbye was lost with the rest, and the loss is reported all the same"
    assert {f"dead3 {number}" for number in range(900)} <= set(far.stored())


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_acknowledged_mark_and_its_goal_are_the_same_number(a_line: Make, far: AwakeAgent) -> None:
    line = a_line(far)
    assert line.journal.written() == 0
    log(line, *map(str, range(100)), size_bytes=20_000)
    assert the_shipper(line).flush(20)
    assert line.journal.cells[Cell.MARK] == line.journal.written()
    assert far.got[0].messages[0] == "0"
