"""`logship export` writes complete files in constant memory; what it writes can be imported."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import duckdb
import pytest

from logship.store.write.store import Store
from tests.cli.commands.orders import event, records
from tests.cli.conftest import COMMAND, Logship, Up, environment
from tests.conftest import PROVE, first


@pytest.mark.parametrize("name", ["all.ndjson", "all.parquet"])
def test_an_export_is_imported_as_it_was(logship: Logship, store: Path, tmp_path: Path, name: str) -> None:
    file, to = str(tmp_path / name), str(tmp_path / "to")
    told = logship("export", "-o", file, "--source", str(store))
    assert (told.returncode, told.stdout) == (0, "")
    assert "exported 60 events" in told.stderr
    assert logship("import", file, "--to", to).returncode == 0
    assert records(tmp_path / "to") == records(store)
    again = logship("import", file, "--to", to)
    assert "0 new, 60 already stored" in again.stderr
    assert len(records(tmp_path / "to")) == 60
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_an_older_store_is_imported_with_what_it_has_not_sealed(logship: Logship, store: Path, tmp_path: Path) -> None:
    assert logship("import", str(store), "--to", str(tmp_path / "to")).returncode == 0
    assert records(tmp_path / "to") == records(store)


def test_a_running_collector_takes_an_import_over_its_own_door(up: Up, logship: Logship, store: Path) -> None:
    told = logship("import", str(store), "--to", f"127.0.0.1:{up.port}")
    assert "60 sent and acknowledged" in told.stderr
    assert logship("count", "--source", up.http).stdout == "60\n"
    logship("import", str(store), "--to", f"127.0.0.1:{up.port}")
    assert logship("count", "--source", up.http).stdout == "60\n"


def test_a_question_narrows_an_export_and_nothing_is_status_1(logship: Logship, store: Path) -> None:
    told = logship("export", "event.sequence <= 3", "--source", str(store))
    assert [json.loads(line)["event.sequence"] for line in told.stdout.splitlines()] == [1, 2, 3]
    told = logship("export", "event.sequence > 99", "--source", str(store))
    assert (told.returncode, told.stdout) == (1, "")


def test_csv_has_a_column_for_every_field_and_runs_no_formula(logship: Logship, tmp_path: Path) -> None:
    hostile = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "a=1"]
    with Store(tmp_path / "from") as one:
        one.append([event(number, message=text, labels={"=x": text}) for number, text in enumerate(hostile, 1)])
    told = logship("export", "--format", "csv", "--source", str(tmp_path / "from"))
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    assert [row["message"] for row in rows[:5]] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1"]
    assert rows[6]["message"] == rows[6]["labels.=x"] == "a=1"
    assert all(not str(value).startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for value in row.values())
    assert rows[0]["event.duration"] == "1000"


def test_parquet_is_of_the_version_that_all_readers_know(logship: Logship, store: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.parquet"
    assert logship("export", "-o", str(file), "--source", str(store)).returncode == 0
    database = duckdb.connect()
    kinds = dict(database.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM '{file}')").fetchall())
    assert kinds["@timestamp"] == "TIMESTAMP_NS"
    assert "_n" not in kinds
    encodings = set(database.execute(f"SELECT encodings FROM parquet_metadata('{file}')").fetchall())
    assert not any("DELTA" in str(one) for one in encodings)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("export", "-o", "x.txt"), "x.txt has no known extension"),
        (("export", "--format", "parquet"), "add --output FILE"),
        (("import", "nothing.ndjson"), "does not exist"),
        (("import", "."), "is not a store"),
    ],
)
def test_what_makes_no_sense_is_status_2(
    logship: Logship, store: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    more = ("--source", str(store)) if arguments[0] == "export" else ("--to", str(store.parent / "to"))
    told = logship(*arguments, *more)
    assert told.returncode == 2
    assert sentence in told.stderr


def test_a_file_is_private_and_written_where_a_link_leads(logship: Logship, store: Path, tmp_path: Path) -> None:
    (tmp_path / "link.ndjson").symlink_to(tmp_path / "there.ndjson")
    assert logship("export", "-o", str(tmp_path / "link.ndjson"), "--source", str(store)).returncode == 0
    assert (tmp_path / "link.ndjson").is_symlink()
    assert (tmp_path / "there.ndjson").stat().st_mode & 0o777 == 0o600


def test_a_pipe_is_written_and_stays_a_pipe(logship: Logship, store: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        told = logship("export", "-o", str(pipe), "--format", "ndjson", "--source", str(store))
        assert reader.stdout is not None
        lines = reader.stdout.read().splitlines()
    assert (told.returncode, len(lines)) == (0, len(records(store)))
    assert pipe.is_fifo()
    told = logship("export", "-o", str(pipe), "--format", "parquet", "--source", str(store))
    assert (told.returncode, "which Parquet needs" in told.stderr) == (2, True)


def test_a_reader_that_has_seen_enough_ends_an_export_quietly(store: Path, tmp_path: Path) -> None:
    command = f"{sys.executable} -m logship export --source {store} | head -1"
    told = subprocess.run(command, shell=True, env=environment(tmp_path), capture_output=True, text=True, timeout=60)
    assert len(told.stdout.splitlines()) == 1
    assert "Traceback" not in told.stderr
    assert "error" not in told.stderr


def damage(segment: Path, column: str) -> None:
    """Put zeros where the values of a column are."""
    database = duckdb.connect()
    name, chunk = column, "coalesce(dictionary_page_offset, data_page_offset), total_compressed_size"
    found = f"SELECT {chunk} FROM parquet_metadata('{segment}') WHERE path_in_schema = '{name}'"
    with segment.open("r+b") as file:
        for at, size in database.execute(found).fetchall():
            file.seek(at)
            file.write(bytes(size))
    database.close()


def test_an_export_without_a_damaged_segment_says_so(logship: Logship, tmp_path: Path) -> None:
    with Store(tmp_path / "store") as one:
        for start in range(1, 27_000, 9_000):
            one.append([event(number) for number in range(start, start + 9_000)])
            one.seal()
    damage(broken := max((tmp_path / "store").glob("*.parquet")), "message")
    told = logship("export", "-o", str(tmp_path / "all.csv"), "--source", str(tmp_path / "store"))
    assert told.returncode == 0
    assert f"{broken.name} is damaged" in told.stderr
    assert "9,000 events" in told.stderr
    assert (tmp_path / "all.csv").read_bytes().count(b"\n") == 18_001


@pytest.mark.parametrize(
    "words", [("export", "-o", "all.parquet", "--source", "store"), ("import", "store", "--to", "to")]
)
def test_ctrl_c_ends_it_at_once_and_leaves_nothing_half(tmp_path: Path, words: tuple[str, ...]) -> None:
    with Store(tmp_path / "store") as one:
        for start in range(1, 40_000, 4_000):
            one.append([event(number) for number in range(start, start + 4_000)])
        one.seal()
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=tmp_path, env=environment(tmp_path), stderr=subprocess.PIPE, text=True
    )
    begun = ".*.zst" if words[0] == "export" else "to/*.ndjson"
    while not list(tmp_path.glob(begun)):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert "Traceback" not in process.communicate(timeout=60)[1]
    assert process.returncode in (130, -signal.SIGINT)  # to a shell these are the same
    assert {path.name for path in tmp_path.iterdir()} <= {"store", "to"}


PEAK = """
import resource, sys
from logship.cli.main import status_of
status = status_of(sys.argv[1:])
sys.stderr.write(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\\n")
sys.exit(status)
"""


def peak_mib(tmp_path: Path, *arguments: str) -> int:
    """Most memory that a command had."""
    told = subprocess.run(
        [sys.executable, "-c", PEAK, *arguments],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert told.returncode == 0, told.stderr
    return int(told.stderr.rsplit("peak ", 1)[1]) // 1024


COUNTS = (20_000, 1_000_000) if PROVE else (12_000, 36_000)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a small and a large store below it, each in a `store` of a state directory by its size."""
    folder = tmp_path_factory.mktemp("sizes")
    for count in COUNTS:
        with Store(folder / str(count) / "store") as one:
            for start in range(1, count, 4_000):
                one.append([event(number) for number in range(start, start + 4_000)])
            one.seal(600)
    return folder


@pytest.mark.parametrize("form", first(1, ["ndjson", "csv", "parquet"]))
def test_memory_does_not_grow_with_what_is_exported(sizes: Path, tmp_path: Path, form: str) -> None:
    peaks = []
    for count in COUNTS:
        file = str(tmp_path / f"{count}.{form}")
        peaks.append(peak_mib(tmp_path, "export", "-o", file, "--source", str(sizes / str(count) / "store")))
    print(f"\nexport of {COUNTS[0]:,} and {COUNTS[1]:,} as {form}: {peaks[0]} and {peaks[1]} MiB")
    assert peaks[1] < peaks[0] + (200 if form == "parquet" else 100)


def test_memory_of_the_collector_does_not_grow_with_what_it_streams(sizes: Path) -> None:
    peaks = []
    for count in COUNTS:
        one, lines = Up(sizes / str(count)), 0
        with urllib.request.urlopen(f"{one.http}/api/export") as answer:
            while some := answer.read(1 << 20):
                lines += some.count(b"\n")
        status = Path(f"/proc/{one.process.pid}/status").read_text()
        peaks.append(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
        assert one.stop()[0] == 0
        assert lines == count
    print(f"\n/api/export of {COUNTS[0]:,} and {COUNTS[1]:,} events: {peaks[0]} and {peaks[1]} MiB")
    assert peaks[1] < peaks[0] + 100
