"""What the page computes, asked in a browser: pure functions from data to SVG, words, times and questions."""

from collections.abc import Iterator
from typing import Any

import pytest

from logship.page.html.assets import address
from tests.page.browsing import Visit
from tests.page.conftest import Shown

ZONES = "Europe/Berlin"


@pytest.fixture(scope="module")
def ask(chromium: Any, shown: Shown) -> Iterator[Any]:
    """Calls `module.name(*arguments)` of the page's own modules and returns its value."""
    visit = Visit(chromium, shown.url, timezone_id=ZONES)
    visit.go("/")

    def call(module: str, name: str, *arguments: object) -> Any:
        code = "async ([url, name, given]) => (await import(url))[name](...given)"
        return visit.page.evaluate(code, [address(f"{module}.js"), name, list(arguments)])

    call.page = visit.page  # type: ignore[attr-defined]
    yield call
    visit.close()


def drawn(ask: Any, name: str, given: dict[str, object]) -> str:
    """The paths of a chart, one behind the other."""
    code = """async ([url, name, given]) => {
        const own = (one) => one.type === "path" && /^fill-/.test(one.props.class) ? `${one.props.class}:${one.props.d} ` : "";
        const paths = (one) => Array.isArray(one) ? one.map(paths).join("")
            : one && one.props ? own(one) + paths(one.props.children) : "";
        return paths((await import(url))[name](given));
    }"""
    return str(ask.page.evaluate(code, [address("charts.js"), name, given]))


def test_bars_stand_on_one_another_and_the_smallest_can_be_seen(ask: Any) -> None:
    series = [{"key": "5", "values": [1, 0]}, {"key": "2", "values": [99, 50]}]
    told = drawn(ask, "bars", {"series": series, "width": 20, "height": 100, "most": 100})
    assert told == "fill-5:M0 100V98h9V100z fill-2:M0 98V0h9V98zM10 100V50h9V100z "
    assert drawn(ask, "bars", {"series": series, "width": 20, "height": 100, "most": 100}) == told
    tiny = [{"key": "5", "values": [1]}, {"key": "2", "values": [100_000]}]
    assert "V98" in drawn(ask, "bars", {"series": tiny, "width": 10, "height": 100})


def test_a_line_is_broken_where_nothing_was_measured(ask: Any) -> None:
    code = """async (url) => {
        const charts = await import(url);
        const values = [1, 2, null, 2], x = (at) => at * 10;
        return charts.line({values, x, height: 20, most: 2, name: "p99"}).props.children[0].props.d;
    }"""
    assert ask.page.evaluate(code, address("charts.js")).count("M") == 2


@pytest.mark.parametrize(("most", "top"), [(0, 1), (1, 1), (7, 8), (11, 15), (160, 200), (1e6 + 1, 1.5e6)])
def test_a_chart_ends_at_a_round_number_above_its_bars(ask: Any, most: float, top: float) -> None:
    assert ask("charts", "ceiling", most) == top


def test_the_axis_has_round_moments_of_the_zone(ask: Any) -> None:
    hour = 3_600_000
    told = ask("charts", "ticks", {"since": 0, "until": 24 * hour}, 840, 84, hour)
    assert [at + hour for at in told["at"]][:3] == [3 * hour, 6 * hour, 9 * hour]


@pytest.mark.parametrize(
    ("text", "kind", "field", "typed"),
    [
        ("http.resp", "field", "", "http.resp"),
        ("http.response.status_code: 50", "value", "http.response.status_code", "50"),
        ('url.path: "/ord', "value", "url.path", "/ord"),
        ("log.level: error and serv", "field", "", "serv"),
        ("log.level: (error or crit", "value", "log.level", "crit"),
    ],
)
def test_what_is_being_typed_is_known_at_the_caret(ask: Any, text: str, kind: str, field: str, typed: str) -> None:
    told = ask("kql", "atCaret", text, len(text))
    assert (told["kind"], told["field"], told["typed"]) == (kind, field, typed)


def test_short_names_of_fields_are_suggested_where_the_field_occurs(ask: Any) -> None:
    fields = [{"name": name, "type": "keyword", "events": 5} for name in ("http.response.status_code", "stage")]
    names = {"fields": fields, "short_names": {"status": "http.response.status_code", "route": "http.route"}}
    offers = ask("box", "nameOffers", names, "sta")
    assert [one["insert"] for one in offers] == ["status: ", "stage: ", "http.response.status_code: "]
    assert [one["text"] for one in ask("box", "nameOffers", names, "")] == ["status", *(one["name"] for one in fields)]


def test_times_are_told_in_the_zone_that_is_asked_for(ask: Any) -> None:
    summer = 1_784_894_602_123  # 2026-07-24, 12:03 UTC
    assert ask("time", "stamp", summer, "utc") == "2026-07-24 12:03:22.123"
    assert ask("time", "stamp", summer, "local") == "2026-07-24 14:03:22.123"
    assert ask("time", "zoneWords", summer, "local") == "UTC+02:00"
    for zone in ("utc", "local"):
        assert ask("time", "fromInput", ask("time", "toInput", summer, zone), zone) == summer // 1000 * 1000


@pytest.mark.parametrize(("ns", "said"), [(950, "950 ns"), (12_400_000, "12.4 ms"), (3.41e9, "3.41 s"), (125e9, "2 min 5 s")])
def test_durations_are_told_as_people_read_them(ask: Any, ns: float, said: str) -> None:
    assert ask("words", "took", ns) == said
