"""A request as a waterfall, and views of the catalogue: on wide and narrow terminals, in colour, ASCII and pipes."""

import json
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

from logship.cli.terminal.chart import Scale, chart, step_ns
from logship.cli.terminal.text import cells
from logship.cli.terminal.waterfall import waterfall
from logship.event.fields import DROP_REASONS
from logship.search.times import rfc3339
from logship.search.units import duration
from logship.search.views import VIEWS
from tests.cli.conftest import COMMAND, Kept, Logship, environment, invoke
from tests.cli.conftest import shop as requests_of_a_shop

NS = 1_795_132_800 * 10**9
REQUEST: dict[str, object] = {
    "@timestamp": rfc3339(NS + 100_000_000),
    "event.start": rfc3339(NS),
    "event.duration": 100_000_000,
    "event.dataset": "logship.request",
    "http.request.method": "GET",
    "http.request.id": "abc",
    "trace.id": "abc",
    "url.path": "/orders/7",
    "http.route": "/orders/{id}",
    "http.response.status_code": 500,
    "logship.ttfb_ns": 50_000_000,
    "logship.background_ns": 100_000_000,
    "service.name": "shop",
    "logship.worker.slot": 2,
    "process.pid": 4711,
    "message": "GET /orders/7 500 100ms",
}
LINE: dict[str, object] = {
    "@timestamp": rfc3339(NS + 25_000_000),
    "http.request.id": "abc",
    "log.level": "error",
    "message": "payment failed",
    "error.stack_trace": "Traceback:\n" + "\n".join(f"frame {number}" for number in range(30)) + "\nDeclined: no",
}


@pytest.fixture
def nice(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a terminal that shows anything."""
    monkeypatch.setattr("logship.cli.terminal.text.has_unicode", lambda: True)


@pytest.mark.usefixtures("nice")
def test_bars_and_marks_stand_where_they_were() -> None:
    lines = waterfall([REQUEST, LINE], 100, 2)
    assert lines[0] == "GET /orders/7  500  100 ms"
    assert "shop w2 (pid 4711)" in lines[1]
    assert "request abc  route /orders/{id}" in lines[2]
    assert "trace" not in lines[2]
    (bar,) = [line for line in lines if line.strip().startswith("0  500")]
    waiting, sending, behind = (bar.count(mark) for mark in "░█▒")
    assert abs(waiting - sending) <= 1
    assert abs(waiting + sending - behind) <= 1
    (line,) = [line for line in lines if "payment failed" in line]
    assert line.strip().startswith("+25.0 ms  error")
    assert line.index("◆") == 23 + round((waiting + sending + behind) / 8)
    assert lines[-1].split("   ") == ["░ until the first byte", "█ sending", "▒ in the background"]


@pytest.mark.usefixtures("nice")
def test_the_end_of_a_stack_trace_is_shown() -> None:
    text = "\n".join(waterfall([REQUEST, LINE], 100, 2))
    assert "(30 lines before; --stack shows them)" in text
    assert "Declined: no" in text
    assert "frame 28" not in text
    assert "frame 0" in "\n".join(waterfall([REQUEST, LINE], 100, 10**6))


@pytest.mark.usefixtures("nice")
@pytest.mark.parametrize("room", [40, 60, 80, 100, 150, 250])
def test_drawings_stay_within_the_terminal(room: int) -> None:
    lines = waterfall(
        [REQUEST, {**LINE, "@timestamp": rfc3339(NS + 10**9)}, {**LINE, "message": "wide 界" * 9}], room, 5
    )
    drawn = [line for line in lines[2:] if not any(word in line for word in ("wide", "payment", "500 100ms"))]
    assert max(map(cells, drawn)) <= max(room, 60)


def test_trace_takes_the_id_of_a_request_of_a_trace_or_of_an_event(kept: Kept, logship: Logship) -> None:
    more = {"http.request.id": "abc", "trace.id": "def", "http.request.method": "GET", "event.duration": 5_000_000}
    kept.put(1, **more)
    kept.put(2, **{"http.request.id": "abc", "trace.id": "def"})
    for one in ("abc", "def", "0" * 24 + "-000000000002"):
        told = logship("trace", one, "--json", "--source", kept.at)
        assert [json.loads(line)["event.sequence"] for line in told.stdout.splitlines()] == [1, 2]
    told = logship("trace", "abc", "--source", kept.at)
    assert told.returncode == 0
    assert "event 1" in told.stdout
    assert "event 2" in told.stdout
    told = logship("trace", "nothing", "--source", kept.at)
    assert (told.returncode, told.stdout) == (1, "")


def test_trace_draws_a_request_that_its_worker_took_with_it(kept: Kept, logship: Logship) -> None:
    kept.put(
        1,
        **{
            "event.action": "worker-lost",
            "logship.in_flight.ids": ["abc", "def"],
            "logship.in_flight.requests": ["GET /slow 1234ms", "GET /other 1ms"],
            "logship.in_flight.count": 2,
        },
    )
    told = logship("trace", "abc", "--source", kept.at)
    assert told.returncode == 0
    assert "GET /slow was interrupted: its worker crashed" in told.stdout
    assert "other" not in told.stdout


def on_terminal(columns: int, *arguments: str, state: Path, **more: str) -> str:
    """What a command shows on a terminal of this width."""
    told = invoke(state, *arguments, TERMINAL="yes", COLUMNS=str(columns), **more)
    assert told.returncode in {0, 1}, told.stderr
    return told.stdout


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


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """Requests of three workers; for tests that only look."""
    one = Kept(tmp_path_factory.mktemp("shop") / "store")
    requests_of_a_shop(one.put)
    lost = {"event.action": "worker-heartbeat", "logship.requests.in_flight": 3, "logship.loop_lag.max_ns": 10**6}
    one.put(30, **lost, **{f"logship.dropped.{reason}": 7 for reason in DROP_REASONS})
    one.put(31, **{"event.action": "worker-started", "log.level": "error", "error.message": "no way " * 9})
    one.put(32, **{"http.request.id": "abc"})
    yield one
    one.store.close()


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


def test_view_lists_the_catalogue(logship: Logship) -> None:
    told = [line.split("\t") for line in logship("view").stdout.splitlines()]
    assert [name for name, *_ in told] == [one.name for one in VIEWS]
    assert logship("view", "requsts").stderr == "error: there is no view 'requsts'; did you mean requests?\n"
    assert "add --id" in logship("view", "story", "--source", ".").stderr


@pytest.mark.parametrize("columns", [60, 100, 150])
def test_every_view_is_drawn_within_the_terminal(shop: Kept, tmp_path: Path, columns: int) -> None:
    for one in VIEWS:
        words = ["view", one.name, "--source", shop.at] + (["--id", "abc"] if one.needs_id else [])
        text = on_terminal(columns, *words, state=tmp_path, NO_COLOR="1")
        assert [line for line in text.splitlines() if cells(line) > columns] == [], one.name


def test_a_view_over_time_has_a_line_for_each_worker(shop: Kept, tmp_path: Path) -> None:
    plain = on_terminal(100, "view", "requests", "--source", shop.at, state=tmp_path, NO_COLOR="1")
    workers = [line for line in plain.splitlines() if re.match(r"w\d ", line)]
    assert len(workers) == 3
    assert all(line.rstrip().endswith("8") and "\u2588" in line for line in workers)
    heat = on_terminal(100, "view", "requests", "--heat", "--source", shop.at, state=tmp_path, TERM="xterm-256color")
    assert "\x1b[38;5;196m" in heat
    assert re.search("in steps of [12] s", plain)


def test_a_view_is_rows_for_programs(shop: Kept, logship: Logship) -> None:
    told = [json.loads(line) for line in logship("view", "shares", "--json", "--source", shop.at).stdout.splitlines()]
    assert {row["value"]: row["events"] for row in told} == {f"host/shop/w{slot}": 8 for slot in range(3)}
    told = [json.loads(line) for line in logship("view", "requests", "--json", "--source", shop.at).stdout.splitlines()]
    assert sum(row["events"] for row in told) == 24
    assert logship("view", "shares", "--source", shop.at, "--until", "1d", "--since", "2d").returncode == 1


@pytest.mark.parametrize(
    ("span_seconds", "room", "step_seconds"),
    [
        (60, 100, 1),
        (120, 60, 2),
        (3600, 110, 60),
        (86400, 100, 900),
        (86400 * 30, 50, 86400),
        (86400 * 365, 50, 8 * 86400),
    ],
)
def test_buckets_are_as_wide_as_people_would_choose(span_seconds: int, room: int, step_seconds: int) -> None:
    assert step_ns(span_seconds * 10**9, room) == step_seconds * 10**9


@pytest.mark.usefixtures("nice")
def test_heights_by_order_of_magnitude_show_what_is_usual_beside_what_is_rare() -> None:
    rows: dict[str, list[float | None]] = {"w0": [8e6, 16e6, 80e6, 8e9]}
    (flat,), (by_orders,) = (
        [line for line in chart(rows, range(4), Scale(duration, str, log=log), 40) if "w0" in line]
        for log in (False, True)
    )
    heights = [[" ▁▂▃▄▅▆▇█".index(sign) for sign in line if sign in "▁▂▃▄▅▆▇█"] for line in (flat, by_orders)]
    assert set(heights[0]) == {1, 8}
    assert len(set(heights[1])) == 4
    assert heights[1] == sorted(heights[1])


def test_a_stack_trace_names_what_is_installed_from_its_package_on_and_is_never_wider_than_the_terminal() -> None:
    stack = (
        'Traceback:\n  File "/srv/shop/lib/python3.11/site-packages/starlette/routing.py", line 62, in app\nDeclined: '
        + "no " * 60
    )
    lines = waterfall([{**LINE, "error.stack_trace": stack}], 80, 8)
    assert any('File "starlette/routing.py", line 62' in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert "".join(lines).count("no ") + "".join(lines).count("no\n") >= 58  # what went wrong is wrapped and not cut


def test_a_view_begins_with_the_store(shop: Kept, tmp_path: Path) -> None:
    text = on_terminal(100, "view", "requests", "--last", "10d", "--source", shop.at, state=tmp_path, NO_COLOR="1")
    assert re.search(r"in steps of \d+ s", text)  # and not of hours


def test_verify_names_a_supervisor_by_its_process(kept: Kept, tmp_path: Path) -> None:
    kept.put(1, 2, **{"service.name": "shop", "process.pid": 4711})
    text = on_terminal(100, "verify", "--source", kept.at, state=tmp_path, NO_COLOR="1")
    assert "shop 4711" in text
    assert "Details" in text.splitlines()[0]


def test_lines_that_come_one_by_one_stand_below_each_other(shop: Kept, tmp_path: Path) -> None:
    text = on_terminal(100, "search", "--limit", "0", "--source", shop.at, state=tmp_path, NO_COLOR="1")
    places = {line.index("event ") for line in text.splitlines() if "  shop  " in line}
    assert len(places) == 1


def test_a_view_of_events_says_that_there_are_more(shop: Kept, logship: Logship) -> None:
    asked = ("view", "worker", "--source", shop.at, "--limit")
    assert logship(*asked, "1").stderr == "only the newest 1; for more use --limit N\n"
    assert logship(*asked, "1000").stderr == ""


def test_what_a_view_shows_is_read_to_its_end_on_a_narrow_terminal(shop: Kept, tmp_path: Path) -> None:
    drawn = on_terminal(40, "view", "errors", "--source", shop.at, state=tmp_path, NO_COLOR="1")
    assert "status 500 or higher,\nor an exception.\n" in drawn
