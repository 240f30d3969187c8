"""`logship run` behaves as the command it runs: output, signals and exit status."""

import os
import pty
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Logship, environment

PYTHON = sys.executable


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_the_status_is_the_commands(process: Logship, status: int) -> None:
    assert process("run", PYTHON, "-c", f"raise SystemExit({status})").returncode == status


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT])
def test_a_command_that_a_signal_killed_makes_us_die_of_it(process: Logship, number: int) -> None:
    code = f"import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.kill(os.getpid(), {number})"
    assert process("run", PYTHON, "-c", code).returncode == -number


def test_a_command_that_is_not_there_is_said(process: Logship, tmp_path: Path) -> None:
    told = process("run", "no-such-server", "--workers", "4")
    assert told.returncode == 127
    assert told.stderr.startswith("error: command 'no-such-server' is neither on the PATH nor in /")
    (tmp_path / "plain").write_text("text")
    assert process("run", str(tmp_path / "plain")).returncode == 126


def test_options_after_the_command_are_the_commands(process: Logship) -> None:
    told = process("run", PYTHON, "-c", "import sys; print(sys.argv[1:])", "--help", "--json", "-x")
    assert told.stdout == "['--help', '--json', '-x']\n"


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU],
)
def test_signals_are_relayed_once(tmp_path: Path, number: int) -> None:
    code = textwrap.dedent(
        f"""
        import signal, time
        seen = []
        signal.signal({number}, lambda *_: seen.append(1))
        print("ready", flush=True)
        while not seen:
            time.sleep(0.01)
        time.sleep(0.1)
        raise SystemExit(40 + len(seen))
        """
    )
    process = subprocess.Popen(
        [*COMMAND, "run", PYTHON, "-c", code], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.wait(30) == 41
    process.stdout.close()


def test_a_key_of_the_terminal_reaches_the_command_once(tmp_path: Path) -> None:
    code = (
        "import signal, time\nseen = []\nsignal.signal(2, lambda *_: seen.append(1))\nprint('ready', flush=True)\n"
        "while not seen: time.sleep(0.01)\ntime.sleep(0.2)\nraise SystemExit(40 + len(seen))"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(PYTHON, [*COMMAND, "run", PYTHON, "-c", code], environment(tmp_path))
    shown = b""
    while b"ready" not in shown:
        shown += os.read(terminal, 1024)
    os.write(terminal, b"\x03")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 41
    os.close(terminal)


def test_a_command_beside_our_own_executable_is_found(process: Logship, tmp_path: Path) -> None:
    told = process("run", "uvicorn", "--version", PATH=str(tmp_path))
    assert told.returncode == 0
    assert "uvicorn" in told.stdout


LOADED = "print('logship' in sys.modules)"


def test_every_process_can_have_logship_and_an_older_sitecustomize_still_runs(process: Logship, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "sitecustomize.py").write_text("import builtins; builtins.theirs = 'ran'")
    code = "import sys, uvicorn; print(theirs, 'logship.auto' in sys.modules)"
    more = {"PYTHONPATH": str(tmp_path / "theirs"), "LOGSHIP_AGENT": "off"}
    assert process("run", PYTHON, "-c", code, **more).stdout == "ran True\n"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    assert process("run", PYTHON, "-c", nested, **more).stdout == "ran True\n"


@pytest.mark.parametrize(
    "code",
    [
        "import sys, json, subprocess, http.client, concurrent.futures",
        "import sys, logging; logging.getLogger('shop').debug('no')",
        "import sys, asyncio; asyncio.run(asyncio.sleep(0))",
    ],
)
def test_a_child_that_is_no_server_and_logs_nothing_does_not_load_logship(process: Logship, code: str) -> None:
    assert process("run", PYTHON, "-c", f"{code}; {LOADED}", LOGSHIP_AGENT="off").stdout == "False\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import logging; logging.getLogger('shop').info('hello')", "hello"),
        ("import logging; logging.getLogger('shop').warning('to %s', 'you')", "to you"),
        ("import structlog; structlog.get_logger().info('placed')", "placed"),
        ("1 / 0", "division by zero"),
        ("import threading; t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()", "division by zero"),
    ],
)
def test_the_first_event_of_a_child_is_not_missed(process: Logship, tmp_path: Path, code: str, said: str) -> None:
    process("run", PYTHON, "-c", code, LOGSHIP_AGENT=f"file:{tmp_path / 'events'}", LOGSHIP_CONSOLE="off")
    assert (tmp_path / "events").read_text().count(f'"{said}"') >= 1


def test_debug_records_are_not_missed_where_they_are_wanted(process: Logship, tmp_path: Path) -> None:
    code = "import logging; logging.getLogger('shop').debug('detail')"
    process("run", PYTHON, "-c", code, LOGSHIP_AGENT=f"file:{tmp_path / 'events'}", LOGSHIP_LEVEL="debug")
    assert '"detail"' in (tmp_path / "events").read_text()


def test_a_python_without_logship_runs_all_the_same(tmp_path: Path) -> None:
    from logship.cli.commands.run import INJECT

    code = "import logging; logging.warning('hello'); logging.warning('again'); print('on')"
    told = subprocess.run(
        [PYTHON, "-S", "-c", f"import sys; sys.path[:] = [{str(INJECT)!r}, *sys.path]; import sitecustomize; {code}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert told.stdout == "on\n"
    assert told.stderr.count("runs without it") == 1
    assert told.stderr.count("WARNING:root:") == 2


def test_a_wrong_setting_is_told_before_anything_starts(process: Logship) -> None:
    told = process("run", PYTHON, "-c", "print('started')", LOGSHIP_LEVEL="loud")
    assert (told.returncode, told.stdout) == (2, "")
    assert "LOGSHIP_LEVEL: invalid value" in told.stderr


@pytest.mark.parametrize("agent", ["collector", "udp://127.0.0.1:24224", "127.0.0.1:many"])
def test_an_agent_that_is_no_address_is_told_once_before_anything_starts(process: Logship, agent: str) -> None:
    told = process("run", PYTHON, "-c", "print('started')", LOGSHIP_AGENT=agent)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith(f"error: LOGSHIP_AGENT: invalid address {agent!r}: use HOST:PORT")
    assert len(told.stderr.splitlines()) == 1
