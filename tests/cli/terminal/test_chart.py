"""Charts over time."""

import pytest

from logship.cli.terminal.chart import Scale, chart, step_ns
from logship.search.units import duration


@pytest.fixture
def nice(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a terminal that shows anything."""
    monkeypatch.setattr("logship.cli.terminal.text.has_unicode", lambda: True)


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
