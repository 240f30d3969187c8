"""Whatever goes wrong is a sentence on stderr and a status, never a traceback."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from logship.cli.registry import NAMES
from logship.page.api.openapi import PATHS
from logship.search.kql import parse
from logship.search.sql import where
from logship.store.write.store import Store
from tests.cli.conftest import Logship, environment
from tests.collector.far_end import event


def test_help_names_every_command(logship: Logship) -> None:
    told = logship("--help")
    assert told.returncode == 0
    for name in NAMES:
        assert f"\n  {name} " in told.stdout
    assert "..." not in told.stdout.partition("Serve:")[2]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_tells_of_itself(logship: Logship, name: str) -> None:
    told = logship(name, "--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith(f"Usage: logship {name} ")


def test_help_is_quick_because_it_loads_what_it_needs_and_no_more(tmp_path: Path) -> None:
    heavy = {
        "duckdb",
        "starlette",
        "uvicorn",
        "prometheus_client",
        "elasticsearch",
        "structlog",
        "asyncio",
        "ssl",
    }
    code = (
        f"import sys; from logship.cli.main import status_of; status_of(['--help']); print({heavy} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True)
    assert told.stdout.endswith("set()\n"), told.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("serach",), "error: unknown command 'serach'; did you mean search?"),
        (("search", "--limt", "3"), "error: no such option"),
        (("search", "a: ("), "error: the query ends too early: expected a value, at character 5\n  a: (\n      ^\n"),
        (("search", "--last", "soon"), "error: invalid duration 'soon'"),
        (("search", "--since", "soon"), "error: invalid time 'soon'"),
        (("search", "--since", "1h", "--last", "1h"), "error: --last and --since both set the start time"),
        (("search", "--since", "2026-01-02", "--until", "2026-01-01"), "is not after"),
        (
            ("search", "--since", "2020-01-02 10:00", "--until", "2020-01-01 09:00"),
            "--until 2020-01-01 09:00 is 2020-01-01 09",
        ),
        (("search", "card", "declined"), "unexpected extra argument (declined); a query of several words is one"),
        (
            ("up", "--forward", "here"),
            "error: --forward (LOGSHIP_FORWARD): invalid address 'here': use HOST:PORT, e.g. 127.0.0.1:24224",
        ),
        (
            ("up", "--http", "8080"),
            "error: --http (LOGSHIP_HTTP): invalid address '8080': use HOST:PORT, e.g. 127.0.0.1:24280",
        ),
        (("up", "--forward", "off", "--http", "off"), "nothing to do"),
        (("page", "--http", "0.0.0.0:0"), "set LOGSHIP_TOKEN"),
        (("page", "--http", "off"), "nothing to do"),
        (("up", "--http", "0.0.0.0:0"), "set LOGSHIP_TOKEN"),
        (("run",), "error: missing argument 'COMMAND...'"),
    ],
)
def test_what_makes_no_sense_is_a_sentence_and_status_2(
    logship: Logship, arguments: tuple[str, ...], sentence: str
) -> None:
    told = logship(*arguments)
    assert (told.returncode, told.stdout) == (2, "")
    assert sentence in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("search", "--source", "/nowhere"), "error: there is no store in /nowhere"),
        (("count", "--source", "http://127.0.0.1:9"), "error: no collector answers at http://127.0.0.1:9"),
        (("workers",), "start a collector with: logship up"),
        (("trace", "x", "--source", "https://127.0.0.1:9"), "error: no collector answers at https://127.0.0.1:9"),
        (("page", "--source", "/nowhere", "--http", "127.0.0.1:0"), "error: there is no store in /nowhere"),
        (("page", "--source", "http://127.0.0.1:9", "--http", "127.0.0.1:0"), "error: no collector answers"),
    ],
)
def test_whom_it_cannot_reach_is_a_sentence_and_status_3(
    logship: Logship, arguments: tuple[str, ...], sentence: str
) -> None:
    told = logship(*arguments)
    assert (told.returncode, told.stdout) == (3, "")
    assert sentence in told.stderr
    assert "Traceback" not in told.stderr


def test_a_wrong_setting_is_named(logship: Logship) -> None:
    told = logship("settings", LOGSHIP_WORKERS="many")
    assert told.returncode == 2
    assert told.stderr == "error: LOGSHIP_WORKERS: invalid value 'many': use a whole number\n"


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("duckdb", ["search", "--source", "."], "collector"),
        ("click", ["search"], "cli"),
        ("elasticsearch", ["search", "--source", "elastic"], "elastic"),
        ("elasticsearch", ["setup", "elastic"], "elastic"),
        ("starlette", ["up", "--http", "127.0.0.1:0", "--forward", "off"], "collector"),
    ],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    tmp_path: Path, package: str, arguments: list[str], extra: str
) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; from logship.cli.main import main; main({arguments!r})"
    told = subprocess.run([sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True)
    assert told.returncode == 2
    assert f"needs {package}: pip install 'logship[{extra}]'" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_mistake_of_ours_is_told_without_its_traceback(tmp_path: Path) -> None:
    code = "import logship.cli.commands.settings as t, logship.cli.main as m; t.table = None; m.main(['settings'])"
    told = subprocess.run([sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True)
    assert told.returncode == 70
    assert "internal error, please report it" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    told = subprocess.run(
        [sys.executable, "-m", "logship", "settings", "--json"],
        env=environment(tmp_path),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert (told.returncode, told.stderr) == (0, "")


CLOSED = """
import json, os, sys
from logship.cli.main import status_of
open_one, closed, commands = json.loads(sys.argv[1])
def run(place):
    for command in commands:
        told = status_of([*command, "--source", place])
        if place == closed:
            os.write(int(sys.argv[2]), json.dumps([command[0], told]).encode() + b"\\n")
run(open_one)  # what is imported late is imported before the rights are given up
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
run(closed)
"""
READING = (
    "search", "count", "workers", "findings", "verify", "fields", "inflight", "trace x", "context x", "view requests",
    "export --format ndjson",
)  # fmt: skip


@pytest.mark.parametrize("inside", [False, True], ids=["the store", "a directory above it"])
def test_a_store_of_another_user_is_said_and_no_mistake_of_ours(tmp_path: Path, inside: bool) -> None:
    above = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        above.chmod(0o755)
        places = [above / "open" / "store", above / "closed" / "store"]
        for place in places:
            with Store(place) as store:
                store.append([(time.time_ns(), event(1))])
        (places[1].parent if inside else places[1]).chmod(0)
        commands = [one.split() for one in READING]
        reading, writing = os.pipe()
        told = subprocess.run(
            [sys.executable, "-c", CLOSED, json.dumps([str(places[0]), str(places[1]), commands]), str(writing)],
            env=environment(above),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(writing,),
            timeout=100,
        )
        os.close(writing)
        with os.fdopen(reading) as ended:
            statuses = dict(json.loads(line) for line in ended)
        assert set(statuses) == {command[0] for command in commands}, told.stderr
        assert set(statuses.values()) <= {2, 3}, told.stderr
        assert told.stderr.count("Permission denied") == len(commands)
        assert "Traceback" not in told.stderr
        assert "internal error" not in told.stderr
    finally:
        (above / "closed").chmod(0o755)
        shutil.rmtree(above)


@pytest.mark.parametrize(
    "arguments", [["import", "{}/none.ndjson"], ["export", "-o", "{}/none/x.csv"], ["import", "{}"]]
)
def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, logship: Logship, arguments: list[str]) -> None:
    with Store(tmp_path / "store") as store:
        store.append([(time.time_ns(), event(1))])
    told = logship(*(one.format(tmp_path) for one in arguments))
    assert told.returncode in {2, 3}
    assert str(tmp_path) in told.stderr
    assert "internal error" not in told.stderr


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no /dev/full")
def test_a_full_disk_behind_stdout_is_no_mistake_of_ours(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        told = subprocess.run(
            [sys.executable, "-m", "logship", "settings"],
            env=environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (told.returncode, told.stderr) == (2, "error: stdout cannot be written: No space left on device\n")


def test_settings_tells_value_and_origin_and_no_secret(logship: Logship) -> None:
    told = logship("settings", LOGSHIP_LEVEL="debug", LOGSHIP_TOKEN="hunter2")
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in told.stdout.splitlines()}
    assert rows["LOGSHIP_LEVEL"] == ["debug", "environment", "Minimum log level."]
    assert rows["LOGSHIP_TOKEN"][:2] == ["[set]", "environment"]
    assert rows["LOGSHIP_AGENT"][:2] == ["127.0.0.1:24224", "default"]
    assert "hunter2" not in told.stdout + told.stderr


DOCS = Path(__file__).parents[2] / "docs"


def test_every_command_and_status_is_in_the_documentation() -> None:
    text = (DOCS / "cli.md").read_text()
    for name in NAMES:
        assert f"\n| `logship {name}" in text, name
    for status in ("0", "1", "2", "3", "4", "70", "130"):
        assert f"\n| {status} |" in text


def test_every_address_is_in_the_documentation() -> None:
    text = (DOCS / "cli.md").read_text()
    assert [path for path in PATHS if f"`{path}`" not in text and path != "/api/openapi.json"] == []


def test_every_question_in_the_documentation_has_a_meaning() -> None:
    text = (DOCS / "kql.md").read_text()
    questions = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE) + re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    questions = [one for one in questions if not one.startswith(("$", "error:"))]
    assert len(questions) > 25
    for question in questions:
        where(parse(question), 0)


def test_a_wrong_question_is_shown_as_in_the_documentation(logship: Logship, tmp_path: Path) -> None:
    question = "http.response.status_code >= (500"
    told = logship("search", question, "--source", str(tmp_path))
    shown = "".join(f"      {line}\n" for line in told.stderr.splitlines())
    assert f"      $ logship search '{question}'\n{shown}" in (DOCS / "kql.md").read_text()
