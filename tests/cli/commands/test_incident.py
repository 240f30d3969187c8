"""`logship incident`: one screen, JSON, files and exit statuses."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Kept, Logship, requests_of_a_shop


@pytest.fixture
def shop(kept: Kept) -> Kept:
    requests_of_a_shop(kept.put)
    return kept


def test_a_crash_is_on_the_first_screen(shop: Kept, logship: Logship) -> None:
    done = logship("incident", "--last", "1h", "--source", shop.at)
    assert done.returncode == 0
    assert "1. crash: " in done.stdout
    assert "interrupting 1 request (longest: GET /slow 1234ms)" in done.stdout
    assert "evidence: " in done.stdout
    (command,) = [line for line in done.stdout.splitlines() if line.startswith("next: logship inflight")]
    assert logship(*command.removeprefix("next: logship ").split()).returncode == 0


def test_json_is_one_document(shop: Kept, logship: Logship) -> None:
    report = json.loads(logship("incident", "--json", "--source", shop.at).stdout)
    assert report["findings"][0]["kind"] == "death"
    assert report["findings"][0]["rank"] == 1


def test_reports_are_written(shop: Kept, logship: Logship, tmp_path: Path) -> None:
    markdown, page = tmp_path / "incident.md", tmp_path / "incident.html"
    done = logship("incident", "--md", str(markdown), "--html", str(page), "--source", shop.at)
    assert (done.returncode, done.stdout) == (0, "")
    assert "## 1. crash" in markdown.read_text()
    assert "<!doctype html>" in page.read_text()
    assert f"wrote {markdown}" in done.stderr


def test_when_is_a_time_and_excludes_other_times(shop: Kept, logship: Logship) -> None:
    assert logship("incident", "now-1m", "--source", shop.at).returncode == 0
    done = logship("incident", "14:03", "--last", "1h", "--source", shop.at)
    assert done.returncode == 2
    assert "WHEN and --last, --since or --until both set the time" in done.stderr


def test_an_empty_window_is_status_4(shop: Kept, logship: Logship) -> None:
    done = logship("incident", "--since", "2020-01-01", "--until", "2020-01-02", "--source", shop.at)
    assert done.returncode == 4


def test_a_file_that_cannot_be_written_is_an_error(shop: Kept, logship: Logship) -> None:
    done = logship("incident", "--md", "/nowhere/at/all.md", "--source", shop.at)
    assert done.returncode == 2
    assert "cannot write /nowhere/at/all.md" in done.stderr
