"""In the agent's place: JSON lines on stdout or in a file, pretty lines on a terminal, and nobody who reads them."""

import errno
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from logship.event import entry
from logship.worker.pipeline import Pipeline
from logship.worker.shipping import line_writer
from logship.worker.shipping.render import json_line, pretty_line
from tests.worker.pipelines import ROOT, log, run, the_shipper
from tests.worker.serving import until

Make = Callable[..., Pipeline]


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
        from logship.worker import registry
        journal = registry.existing().journal
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


def test_a_reader_that_went_away_is_a_trouble_and_the_events_stay(a_pipeline: Make, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    pipeline = a_pipeline(f"file:{path}")
    log(pipeline, "one")
    assert the_shipper(pipeline).flush(20)
    os.close(reader)
    log(pipeline, "two")
    until(lambda: the_shipper(pipeline).outlet.trouble, "the trouble")
    assert "Broken pipe" in the_shipper(pipeline).outlet.trouble
    assert pipeline.journal.pending_events() == 1


def test_a_file_gets_whole_lines_in_order_and_is_only_for_us(a_pipeline: Make, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    pipeline = a_pipeline(f"file:{path}")
    log(pipeline, *map(str, range(1500)))
    assert the_shipper(pipeline).flush(20)
    assert [orjson.loads(text)["message"] for text in path.read_bytes().splitlines()] == [str(n) for n in range(1500)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_missing_is_a_trouble_until_it_is_there(a_pipeline: Make, tmp_path: Path) -> None:
    path = tmp_path / "later" / "out.jsonl"
    pipeline = a_pipeline(f"file:{path}")
    log(pipeline, "one")
    until(lambda: "No such file" in the_shipper(pipeline).outlet.trouble, "the trouble")
    path.parent.mkdir()
    assert the_shipper(pipeline).flush(20)


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


def test_a_record_that_cannot_be_shown_does_not_stop_those_behind_it(a_pipeline: Make, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    pipeline = a_pipeline(f"file:{path}")
    with pipeline.journal.locked():
        assert pipeline.journal.append((b"\x92 no entry at all",))
        log(pipeline, "behind")
    assert the_shipper(pipeline).flush(20)
    first, second = [orjson.loads(text) for text in path.read_bytes().splitlines()]
    assert "cannot read a record" in first["message"]
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


# A file that is rotated, deleted, or in a directory that comes and goes.


def messages(*paths: Path) -> list[str]:
    return [orjson.loads(text)["message"] for path in paths for text in path.read_bytes().splitlines()]


def test_a_rotated_file_is_left_and_no_line_is_lost(a_pipeline: Make, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    pipeline = a_pipeline(f"file:{path}")
    for number in range(60):
        log(pipeline, f"event {number}")
        if number % 3 == 2:
            assert the_shipper(pipeline).flush(20)
        if number % 10 == 9:  # as logrotate does, in the middle of what is being written
            path.rename(tmp_path / f"out.jsonl.{number}")
    log(pipeline, "last")
    assert the_shipper(pipeline).flush(20)
    assert "last" in messages(path)
    rotated = [tmp_path / f"out.jsonl.{number}" for number in range(9, 60, 10)]
    assert messages(*rotated, path) == [*(f"event {number}" for number in range(60)), "last"]


def test_a_deleted_file_is_made_again(a_pipeline: Make, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    pipeline = a_pipeline(f"file:{path}")
    log(pipeline, "before")
    assert the_shipper(pipeline).flush(20)
    path.unlink()
    log(pipeline, "after")
    assert the_shipper(pipeline).flush(20)
    assert messages(path) == ["after"]


def test_a_file_that_is_deleted_while_it_is_written_costs_no_line(
    a_pipeline: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    pipeline = a_pipeline(f"file:{path}")
    log(pipeline, "before")
    assert the_shipper(pipeline).flush(20)
    write, deletions = line_writer.LineWriter.write, iter([path.unlink])

    def deleted_before(pipe: line_writer.LineWriter, data: memoryview) -> int:
        for delete in deletions:  # after the path was looked at, before the bytes are in the file
            delete()
        return write(pipe, data)

    monkeypatch.setattr(line_writer.LineWriter, "write", deleted_before)
    log(pipeline, "one")
    assert the_shipper(pipeline).flush(20)
    assert messages(path) == ["one"]


def test_while_the_directory_is_away_events_stay_in_the_journal_and_it_is_said_once(
    a_pipeline: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, away = tmp_path / "logs", tmp_path / "away"
    folder.mkdir()
    path = folder / "out.jsonl"
    pipeline = a_pipeline(f"file:{path}")
    log(pipeline, "before")
    assert the_shipper(pipeline).flush(20)
    folder.rename(away)
    log(pipeline, "meanwhile")
    until(lambda: the_shipper(pipeline).outlet.trouble, "the trouble")
    assert not the_shipper(pipeline).flush(0.1)
    assert pipeline.journal.pending_events() == 1
    folder.mkdir()
    assert the_shipper(pipeline).flush(20)
    assert (messages(away / "out.jsonl"), messages(path)) == (["before"], ["meanwhile"])
    until(lambda: len(caplog.records) == 2, "both sentences")
    first, second = [record.message for record in caplog.records]
    assert f"cannot write events to {path} (No such file or directory)" in first
    assert f"written to {path} again" in second


def test_a_line_that_a_full_disk_cut_is_written_again_whole_if_another_worker_has_written_behind_it(
    a_pipeline: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    pipeline = a_pipeline(f"file:{path}")
    write, times = os.write, iter(range(100))

    def nearly_full(descriptor: int, data: bytes) -> int:
        if not path.exists() or os.fstat(descriptor).st_ino != path.stat().st_ino:
            return write(descriptor, data)
        match next(times):
            case 0:
                return write(descriptor, data[:20])
            case 1:
                with path.open("ab") as other:
                    other.write(b"of another worker\n")
                raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", nearly_full)
    log(pipeline, "one", "two")
    assert the_shipper(pipeline).flush(20)
    cut, *whole = path.read_bytes().splitlines()
    assert cut.endswith(b"of another worker")
    assert [orjson.loads(text)["message"] for text in whole if text] == ["one", "two"]


def test_a_fifo_that_nobody_reads_yet_does_not_hold_up_the_thread(a_pipeline: Make, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    pipeline = a_pipeline(f"file:{path}")
    log(pipeline, "one")
    until(lambda: the_shipper(pipeline).outlet.trouble, "the trouble")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    assert the_shipper(pipeline).flush(20)
    assert orjson.loads(os.read(reader, 65536))["message"] == "one"
    os.close(reader)
