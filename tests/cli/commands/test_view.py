"""`logship view` draws the views of the catalogue."""

import json
import re
from pathlib import Path

import pytest

from logship.cli.terminal.text import cells
from logship.search.views import VIEWS
from tests.cli.conftest import Kept, Logship, on_terminal


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


def test_a_view_begins_with_the_store(shop: Kept, tmp_path: Path) -> None:
    text = on_terminal(100, "view", "requests", "--last", "10d", "--source", shop.at, state=tmp_path, NO_COLOR="1")
    assert re.search(r"in steps of \d+ s", text)  # and not of hours


def test_a_view_of_events_says_that_there_are_more(shop: Kept, logship: Logship) -> None:
    asked = ("view", "worker", "--source", shop.at, "--limit")
    assert logship(*asked, "1").stderr == "only the newest 1; for more use --limit N\n"
    assert logship(*asked, "1000").stderr == ""


def test_what_a_view_shows_is_read_to_its_end_on_a_narrow_terminal(shop: Kept, tmp_path: Path) -> None:
    drawn = on_terminal(40, "view", "errors", "--source", shop.at, state=tmp_path, NO_COLOR="1")
    assert "status 500 or higher,\nor an exception.\n" in drawn
