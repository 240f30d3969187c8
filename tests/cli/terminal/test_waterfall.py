"""The waterfall of a request."""

import pytest

from logship.cli.terminal.text import cells
from logship.cli.terminal.waterfall import waterfall
from logship.search.times import rfc3339

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


def test_a_stack_trace_names_what_is_installed_from_its_package_on_and_is_never_wider_than_the_terminal() -> None:
    stack = (
        'Traceback:\n  File "/srv/shop/lib/python3.11/site-packages/starlette/routing.py", line 62, in app\nDeclined: '
        + "no " * 60
    )
    lines = waterfall([{**LINE, "error.stack_trace": stack}], 80, 8)
    assert any('File "starlette/routing.py", line 62' in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert "".join(lines).count("no ") + "".join(lines).count("no\n") >= 58  # what went wrong is wrapped and not cut
