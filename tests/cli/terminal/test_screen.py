"""Hostile bytes in every text that a command prints, each command on a terminal: nothing that a terminal obeys arrives."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.cli.registry import NAMES
from logship.event.invisible import visible_lines
from tests.cli.conftest import COMMAND, Kept, environment, invoke
from tests.collector.far_end import event

EVIL = "A\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1b[5;95m\x9b31m\u202eevil\u2066\u200e\u200b\u2028\r\n\x08\x7f\ufeff\U000e0041\u061c\u180e"
# With a zero byte, which no argument of a process may hold.
STORED = EVIL + "\x00"
TEXTS = """message log.logger service.name http.route url.path http.request.method trace.id host.name error.type error.message
error.stack_trace event.reason user_agent.original process.thread.name url.domain client.address"""
# Colours, and the line of progress that is written over: no text of `EVIL` holds either of its sequences.
OURS = re.compile(r"\x1b\[[0-9;]{0,24}m|\r\x1b\[K")
# The same for a name in a file system and for an argument.
NAME = EVIL.replace("/", "_")


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    one = Kept(tmp_path_factory.mktemp("evil") / "store")
    texts: dict[str, object] = dict.fromkeys(TEXTS.split(), STORED)
    labels = {"labels": {STORED: STORED, "k": STORED}, "numeric_labels": {STORED: 1}}
    request: dict[str, object] = {
        **texts,
        **labels,
        "service.node.name": f"h/{STORED}/w0",
        "event.dataset": "logship.request",
        "event.outcome": "failure",
        "event.duration": 10**9,
        "http.request.id": "rid1",
        "http.response.status_code": 500,
        "log.level": "error",
        "logship.worker.slot": 0,
        "logship.worker.generation": 1,
        "process.pid": 5,
    }
    one.put(1, 2, 3, **request)
    beat = {"event.dataset": "logship.worker", "event.action": "worker-heartbeat", "logship.requests.in_flight": 1}
    one.put(4, **{**request, **beat})
    lost = {"event.action": "worker-lost", "logship.in_flight.ids": [STORED], "logship.in_flight.count": 1}
    one.put(5, **{**request, **beat, **lost, "logship.in_flight.requests": [f"{STORED} {STORED}"]})
    one.put(6, **{**request, "event.dataset": "logship.app", "log.level": STORED})
    yield one
    one.store.close()


def on_terminal(state: Path, *arguments: str, seconds: float = 60, **more: str) -> str:
    """What a command writes to stdout and stderr, both a terminal."""
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 250, 0, 0))
    around = {**environment(state, **more), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    around.pop("COLUMNS")
    process = subprocess.Popen([*COMMAND, *arguments], stdin=terminal, stdout=terminal, stderr=terminal, env=around)
    os.close(terminal)
    written, until = b"", time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            if select.select([main], [], [], 0.2)[0]:
                some = os.read(main, 65536)
                written += some
                if not some:
                    break
            elif process.poll() is not None:
                break
    except OSError:  # a terminal without a process
        pass
    finally:
        process.kill()
        process.wait()
        os.close(main)
    return written.decode("utf-8", "replace").replace("\r\n", "\n")


def obeyed(shown: str) -> list[str]:
    """The characters in `shown` that a terminal would obey or hide."""
    return [repr(one) for one in shown if visible_lines(one) != one]


# command -> its calls. STORE is the source, FILE a file of hostile NDJSON.
CALLS: dict[str, tuple[tuple[str, ...], ...]] = {
    "annotate": (("annotate", EVIL, "--service", EVIL, "--to", "INTO"), ("annotate", EVIL, "--to", EVIL)),
    "up": (("up", "--forward", EVIL), ("up", "--store-dir", f"/proc/{NAME}")),
    "run": (("run", EVIL),),
    "page": (("page", "--source", f"/nowhere/{NAME}"),),
    "search": (
        ("search", "--source", "STORE"),
        ("search", "--source", "STORE", "--json"),
        ("search", "--source", "STORE", "--csv"),
        ("search", f'x: "{EVIL}"', "--source", "STORE"),
        ("search", f"{EVIL}: (", "--source", "STORE"),
    ),
    "tail": (("tail", "-n", "5", "--source", "STORE"), ("tail", "-n", "2", "--json", "--source", "STORE")),
    "count": (("count", "--source", "STORE"), ("count", EVIL, "--source", "STORE")),
    "top": (
        ("top", "http.route", "--source", "STORE"),
        ("top", "labels.k", "--source", "STORE", "--csv"),
        ("top", EVIL, "--source", "STORE"),
    ),
    "fields": (
        ("fields", "--source", "STORE"),
        ("fields", EVIL, "--source", "STORE"),
        ("fields", "--csv", "--source", "STORE"),
    ),
    "context": (("context", "EVENT", "--source", "STORE"), ("context", EVIL, "--source", "STORE")),
    "trace": (
        ("trace", "rid1", "--source", "STORE"),
        ("trace", "rid1", "--stack", "--source", "STORE"),
        ("trace", EVIL, "--source", "STORE"),
    ),
    "workers": (
        ("workers", "--source", "STORE"),
        ("workers", "--json", "--source", "STORE"),
        ("workers", "--csv", "--source", "STORE"),
    ),
    "view": (
        ("view", "slowest-routes", "--source", "STORE"),
        ("view", "errors", "--source", "STORE"),
        ("view", "requests", "--heat", "--source", "STORE"),
        ("view", EVIL, "--source", "STORE"),
    ),
    "findings": (("findings", "--source", "STORE"), ("findings", "--csv", "--source", "STORE")),
    "inflight": (("inflight", "--source", "STORE"), ("inflight", "--csv", "--source", "STORE")),
    "verify": (("verify", "--source", "STORE"), ("verify", "--csv", "--source", "STORE")),
    "anchor": (("anchor", "--source", "STORE"), ("anchor", "--source", f"/nowhere/{NAME}")),
    "watch": (
        ("watch", "--once", "--source", "STORE", "--memory", f"INTO/{NAME}"),
        ("watch", "--once", "--every", EVIL, "--source", "STORE"),
        ("watch", "--once", "--source", "STORE", "--webhook", f"ftp://{EVIL}"),
    ),
    "curl": (
        ("curl", "rid1", "--source", "STORE"),
        ("curl", "--where", "event.dataset: *", "--source", "STORE"),
        ("curl", EVIL, "--source", "STORE"),
    ),
    "export": (("export", "--source", "STORE"), ("export", "--format", "csv", "--source", "STORE")),
    "import": (("import", "FILE", "--to", "INTO"), ("import", f"/nowhere/{NAME}")),
    "setup": (("setup", "elastic", "--dry-run"), ("setup", EVIL)),
    "replay": (("replay", "FILE", "--to", "elastic"), ("replay", EVIL, "--to", "elastic")),
    "rollup": (("rollup",), ("rollup", "--last", EVIL), ("rollup", "--delay", EVIL)),
    "dead-letter": (("dead-letter", "INTO"), ("dead-letter", f"/nowhere/{NAME}")),
    "doctor": (("doctor",), ("doctor", "--json")),
    "settings": (("settings",), ("settings", "--json")),
    "demo": (("demo", EVIL), ("demo", "--workers", EVIL)),
    "incident": (
        ("incident", "--source", "STORE"),
        ("incident", "--json", "--source", "STORE"),
        ("incident", EVIL, "--source", "STORE"),
        ("incident", "--baseline", EVIL, "--source", "STORE"),
    ),
    "compare": (("compare", "--last", "1h", "--source", "STORE"), ("compare", "--baseline", EVIL, "--source", "STORE")),
    "patterns": (("patterns", "--source", "STORE"), ("patterns", "--csv", "--source", "STORE")),
    "errors": (("errors", "--source", "STORE"), ("errors", "--trace", "--source", "STORE")),
    "capacity": (("capacity", "--source", "STORE"), ("capacity", "--latency", EVIL, "--source", "STORE")),
    "level": (("level", "debug", "--service", EVIL), ("level", EVIL), ("level", "debug", "--for", EVIL)),
    "kql": (("kql", f'x: "{EVIL}"'), ("kql", f"{EVIL}: (")),
    "completion": (("completion", EVIL),),
}
SETTINGS = {
    "LOGSHIP_SERVICE": EVIL,
    "LOGSHIP_AGENT": f"file:/nowhere/{NAME}",
    "LOGSHIP_ELASTIC_URL": "http://127.0.0.1:9",
    "LOGSHIP_X" + EVIL.replace("=", ""): "1",
}


# These run until they are stopped.
ENDLESS = ("tail", "up", "page")


def test_every_command_is_tried() -> None:
    assert set(CALLS) == set(NAMES)


@pytest.mark.parametrize("command", CALLS)
def test_nothing_that_a_terminal_obeys_reaches_it(
    command: str, evil: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call of a command is a process on a terminal; the others are in this process, which is quicker."""
    file, into = tmp_path / "evil.ndjson", tmp_path / "into"
    file.write_text(json.dumps({"@timestamp": STORED, "message": STORED, STORED: 1}) + f"\n{EVIL}\n", newline="")
    into.mkdir()
    monkeypatch.chdir(tmp_path)  # relative names are created there
    (into / "evil.dead").write_text(EVIL, newline="")
    places = {"STORE": evil.at, "FILE": str(file), "INTO": str(into), "EVENT": str(event(3)["event.id"])}
    for number, call in enumerate(CALLS[command]):
        words = [places.get(one, one) for one in call]
        if number and command not in ENDLESS:
            told = invoke(tmp_path, *words, TERMINAL="yes", TERM="xterm-256color", LANG="C.UTF-8", **SETTINGS)
            shown = told.stdout + told.stderr
        else:
            shown = on_terminal(tmp_path, *words, seconds=5 if command in ENDLESS else 60, **SETTINGS)
        assert shown, call
        assert "\x1b[5;95m" not in shown, call
        assert obeyed(OURS.sub("", shown)) == [], call


def test_without_colors_no_escape_at_all_reaches_a_terminal(evil: Kept, tmp_path: Path) -> None:
    assert "\x1b" not in on_terminal(tmp_path, "search", "--source", evil.at, NO_COLOR="1")


def test_a_pipe_gets_csv_as_it_is_stored(evil: Kept, tmp_path: Path) -> None:
    run = subprocess.run(
        [*COMMAND, "search", "--source", evil.at, "--csv"], env=environment(tmp_path), capture_output=True, check=True
    )
    assert "\x1b[2J\x1b[5;95m\x9b31m\u202eevil".encode() in run.stdout


def test_json_has_the_same_value_on_a_terminal_and_in_a_pipe(evil: Kept, tmp_path: Path) -> None:
    arguments = ("search", "--source", evil.at, "--json")
    piped = subprocess.run([*COMMAND, *arguments], env=environment(tmp_path), capture_output=True, check=True).stdout
    assert visible_lines(piped.decode()) == piped.decode()
    records = [json.loads(line) for line in piped.splitlines()]
    assert records == [json.loads(line) for line in on_terminal(tmp_path, *arguments).splitlines() if line[0] == "{"]
    assert records[0]["labels"][STORED] == STORED
