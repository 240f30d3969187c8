"""`logship import` reads what others write, names what it cannot read, and stores each event once."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands.orders import records
from tests.cli.conftest import COMMAND, Logship, environment


def test_ndjson_of_others_keeps_its_time_and_its_fields(logship: Logship, tmp_path: Path) -> None:
    lines = [
        {"timestamp": "2026-11-20T10:00:00+01:00", "message": "one", "http": {"response": {"status_code": 200}}},
        {"time": 1_795_132_801.5, "msg": "two"},
        {"ts": 1_795_132_802_000, "message": "three"},
        {"message": "four"},
    ]
    (tmp_path / "a.ndjson").write_text("".join(json.dumps(line) + "\n" for line in lines) + "\n")
    told = logship("import", str(tmp_path / "a.ndjson"), "--to", str(tmp_path / "to"))
    assert told.returncode == 0
    assert "1 event without a valid time" in told.stderr
    found = records(tmp_path / "to")
    assert found[0]["@timestamp"] == "2026-11-20T00:00:01.500000000Z"
    assert found[0]["message"] == "two"
    assert found[2]["@timestamp"] == "2026-11-20T09:00:00.000000000Z"
    assert found[2]["http.response.status_code"] == 200


def test_a_line_that_is_none_is_named_and_what_came_before_is_kept(logship: Logship, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text('{"message": "one"}\n{"message": "tw')
    told = logship("import", str(tmp_path / "a.ndjson"), "--to", str(tmp_path / "to"))
    assert told.returncode == 2
    assert "line 2 is not JSON" in told.stderr
    assert [record["message"] for record in records(tmp_path / "to")] == ["one"]


def test_events_that_retention_would_remove_are_said(logship: Logship, tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text('{"message": "old", "time": 1700000000}\n')
    told = logship("import", str(tmp_path / "a.ndjson"), "--to", str(tmp_path / "to"))
    assert "1 event older than 30 days" in told.stderr
    told = logship("import", str(tmp_path / "a.ndjson"), "--to", str(tmp_path / "to"), LOGSHIP_RETENTION_DAYS="0")
    assert "older than" not in told.stderr


def test_lines_come_through_a_pipe(logship: Logship, tmp_path: Path, store: Path) -> None:
    text = logship("export", "--source", str(store)).stdout
    told = subprocess.run(
        [*COMMAND, "import", "-", "--to", str(tmp_path / "to")],
        input=text, env=environment(tmp_path), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert told.returncode == 0
    assert records(tmp_path / "to") == records(store)


def imported(logship: Logship, tmp_path: Path, content: bytes, times: int = 1) -> tuple[int, str, list[dict[str, Any]]]:
    """Status and words of the last import of a file with this content, and the records of the store."""
    (tmp_path / "x.ndjson").write_bytes(content)
    for _ in range(times):
        told = logship("import", str(tmp_path / "x.ndjson"), "--to", str(tmp_path / "to"))
    return told.returncode, told.stderr, records(tmp_path / "to")


@pytest.mark.parametrize(
    ("value", "time"),
    [
        (b"1700000000.123", "2023-11-14T22:13:20.123000000Z"),
        (b"1700000000.1234567", "2023-11-14T22:13:20.123456700Z"),
        (b"1700000000123.25", "2023-11-14T22:13:20.123250000Z"),
        (b"1.700000000123e9", "2023-11-14T22:13:20.123000000Z"),
        (b'"1700000000.123456789"', "2023-11-14T22:13:20.123456789Z"),
        (b'"1700000000123.5"', "2023-11-14T22:13:20.123500000Z"),
        (b'"1.7e9"', "2023-11-14T22:13:20.000000000Z"),
        (b'"1700000000123456"', "2023-11-14T22:13:20.123456000Z"),
        (b'"2023-11-14 22:13:20,123Z"', "2023-11-14T22:13:20.123000000Z"),
    ],
)
def test_a_time_is_taken_as_it_was_written(value: bytes, time: str, logship: Logship, tmp_path: Path) -> None:
    status, _, found = imported(logship, tmp_path, b'{"message":"a","ts":%b}\n' % value)
    assert (status, [one["@timestamp"] for one in found]) == (0, [time])


BAD = {
    "NaN": b'{"message":"b","time":1700000001,"v":NaN}',
    "cut": b'{"message":"b"',
    "a list": b"[1, 2]",
    "no JSON": b"2023-11-14 22:13:20 started",
    "too long": b'{"message":"' + b"x" * (17 * 2**20) + b'"}',
    "a lone surrogate": b'{"message":"\\ud800"}',
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_line_is_named_and_the_others_are_imported_once(bad: bytes, logship: Logship, tmp_path: Path) -> None:
    lines = [b'{"message":"a","time":1700000000}', bad, b'{"message":"c","time":1700000002}', b""]
    status, said, found = imported(logship, tmp_path, b"\n".join(lines), times=2)
    assert (status, [one["message"] for one in found]) == (2, ["a", "c"])
    assert "line 2 " in said
    assert "2 already stored" in said
    lines[1] = b'{"message":"b","time":1700000001}'
    status, said, found = imported(logship, tmp_path, b"\n".join(lines))
    assert (status, [one["message"] for one in found]) == (0, ["a", "b", "c"])


def test_many_bad_lines_are_counted(logship: Logship, tmp_path: Path) -> None:
    status, said, _ = imported(logship, tmp_path, b"no\n" * 5000)
    assert (status, said.count("is not JSON")) == (2, 10)
    assert "and 4,990 more" in said


def test_a_file_that_cannot_be_read_does_not_stop_the_others(logship: Logship, tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing else")
    (tmp_path / "good.ndjson").write_bytes(b'{"message":"good","time":1700000000}\n')
    files = [str(tmp_path / name) for name in ("bad.parquet", "good.ndjson")]
    told = logship("import", *files, "--to", str(tmp_path / "to"))
    assert told.returncode == 2
    assert "bad.parquet" in told.stderr
    assert [one["message"] for one in records(tmp_path / "to")] == ["good"]


TEXT = '{"message":"größe","time":1700000000}\n{"message":"zwei\u2028","time":1700000001}\n'


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode(),
        TEXT.encode("utf-16"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
    ],
    ids=["utf-8", "utf-8 with CRLF", "utf-16 little", "utf-16 big", "utf-32"],
)
def test_a_file_may_begin_with_a_byte_order_mark(content: bytes, logship: Logship, tmp_path: Path) -> None:
    status, _, found = imported(logship, tmp_path, content)
    assert (status, [one["message"] for one in found]) == (0, ["größe", "zwei\u2028"])


def test_files_that_were_joined_have_marks_within(logship: Logship, tmp_path: Path) -> None:
    one = b'\xef\xbb\xbf{"message":"a","time":1700000000}\n'
    status, _, found = imported(logship, tmp_path, one + one.replace(b'"a"', b'"b\xe9"'))
    assert (status, [one["message"] for one in found]) == (0, ["a", "b\ufffd"])


def test_nested_labels_are_joined_by_dots(logship: Logship, tmp_path: Path) -> None:
    labels = {"a": {"b": "c", "n": 1, "deep": {"er": True}}, "n": 7, "list": [1]}
    line = {"message": "a", "time": 1700000000, "labels": labels, "numeric_labels": {"x": {"y": 2}}}
    _, _, (one,) = imported(logship, tmp_path, json.dumps(line).encode())
    assert one["labels"] == {"a.b": "c", "a.deep.er": "true", "n": "7", "list": "[1]"}
    assert one["numeric_labels"] == {"a.n": 1.0, "x.y": 2.0, "time": 1.7e9}


def test_a_file_that_grew_is_imported_from_where_it_ended(logship: Logship, tmp_path: Path) -> None:
    line = b'{"message":"again","time":1700000000}\n'
    assert len(imported(logship, tmp_path, line * 3)[2]) == 3
    assert len(imported(logship, tmp_path, line * 5)[2]) == 5
    assert len(imported(logship, tmp_path, b'{"message":"rotated","time":1700000009}\n')[2]) == 6
