"""Tables on wide and narrow terminals, in colour and ASCII, and in pipes."""

import os
import pty
import struct
import subprocess
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

from logship.cli.terminal.text import cells
from tests.cli.conftest import COMMAND, Kept, environment, on_terminal


def on_real_terminal(columns: int, *arguments: str, state: Path, **more: str) -> str:
    """The same in a process of its own, on a terminal that says how wide it is."""
    main, terminal = pty.openpty()
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    around = {name: value for name, value in environment(state, **more).items() if name != "COLUMNS"}
    process = subprocess.Popen([*COMMAND, *arguments], env=around, stdout=terminal, stderr=subprocess.DEVNULL)
    os.close(terminal)
    shown = b""
    while True:
        try:
            some = os.read(main, 65536)
        except OSError:
            break
        if not some:
            break
        shown += some
    os.close(main)
    assert process.wait(60) == 0
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 60, 100, 150])
@pytest.mark.parametrize("words", [["search"], ["workers"], ["top", "http.route"], ["verify"], ["fields"]])
def test_tables_fit_the_terminal(shop: Kept, tmp_path: Path, columns: int, words: list[str]) -> None:
    text = on_terminal(columns, *words, "--source", shop.at, state=tmp_path, NO_COLOR="1")
    assert text
    too_long = [line for line in text.splitlines() if cells(line) > max(columns, 60 if words == ["workers"] else 52)]
    assert too_long == []


def test_colour_is_for_terminals_that_want_it(shop: Kept, tmp_path: Path) -> None:
    asked = ("search", "http.response.status_code: 500", "--source", shop.at)
    assert "\x1b[" in on_real_terminal(100, *asked, state=tmp_path, TERM="xterm-256color")
    assert "\x1b[" not in on_real_terminal(100, *asked, state=tmp_path, TERM="xterm-256color", NO_COLOR="1")
    assert "\x1b[" not in on_real_terminal(100, *asked, state=tmp_path, TERM="dumb")


def test_a_terminal_without_unicode_gets_ascii(shop: Kept, tmp_path: Path) -> None:
    text = on_real_terminal(100, "top", "http.route", "--source", shop.at, state=tmp_path, LC_ALL="C", NO_COLOR="1")
    assert text.isascii()
    assert "####" in text
    text = on_real_terminal(
        100, "top", "http.route", "--source", shop.at, state=tmp_path, LC_ALL="C.UTF-8", NO_COLOR="1"
    )
    assert "████" in text


def test_text_that_an_encoding_has_no_place_for_is_escaped(shop: Kept, tmp_path: Path) -> None:
    shop.put(40, message="gr\u00fc\u00dfe \u4e16\u754c")
    told = subprocess.run(
        [*COMMAND, "search", "event.sequence: 40", "--source", shop.at],
        env=environment(tmp_path, PYTHONIOENCODING="latin-1:strict"), capture_output=True, timeout=60,
    )  # fmt: skip
    assert told.returncode == 0
    assert told.stdout.endswith(b"gr\xfc\xdfe \\u4e16\\u754c\n")


def test_verify_names_a_supervisor_by_its_process(kept: Kept, tmp_path: Path) -> None:
    kept.put(1, 2, **{"service.name": "shop", "process.pid": 4711})
    text = on_terminal(100, "verify", "--source", kept.at, state=tmp_path, NO_COLOR="1")
    assert "shop 4711" in text
    assert "Details" in text.splitlines()[0]


def test_lines_that_come_one_by_one_stand_below_each_other(shop: Kept, tmp_path: Path) -> None:
    text = on_terminal(100, "search", "--limit", "0", "--source", shop.at, state=tmp_path, NO_COLOR="1")
    places = {line.index("event ") for line in text.splitlines() if "  shop  " in line}
    assert len(places) == 1
