"""`logship annotate`: a note is an event, in a store or sent to a collector, and reports list it."""

import json
from pathlib import Path

import pytest

from logship.search.times import from_rfc3339, rfc3339
from tests.cli.commands.orders import records
from tests.cli.conftest import Logship, Up


def test_a_note_is_stored_as_an_event(logship: Logship, tmp_path: Path) -> None:
    at = "2026-11-20T14:05:00Z"
    done = logship("annotate", " rolled back to 3.4.9 ", "--at", at, "--service", "shop", "--to", str(tmp_path / "to"))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "stored: 2026-11-20 14:05:00.000 rolled back to 3.4.9\n"
    (record,) = records(tmp_path / "to")
    assert record["@timestamp"] == "2026-11-20T14:05:00.000000000Z"
    assert record["message"] == "rolled back to 3.4.9"
    named = ("event.kind", "event.action", "event.dataset", "service.name")
    assert [record[name] for name in named] == ["event", "annotation", "logship.annotation", "shop"]
    assert from_rfc3339(record["event.created"]) > from_rfc3339(record["@timestamp"])


def test_two_equal_notes_are_two_events(logship: Logship, tmp_path: Path) -> None:
    for _ in range(2):
        assert logship("annotate", "deployed", "--to", str(tmp_path / "to")).returncode == 0
    assert len({record["event.id"] for record in records(tmp_path / "to")}) == 2


def test_json_is_the_event_without_its_secrets(logship: Logship, tmp_path: Path) -> None:
    done = logship("annotate", "changed it: password=hunter2xyz", "--json", "--to", str(tmp_path / "to"))
    assert json.loads(done.stdout)["message"] == "changed it: password=[redacted:password]"
    assert "hunter2xyz" not in json.dumps(records(tmp_path / "to")) + done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("  ",), "0 characters"), (("x" * 2001,), "2001 characters"), (("x", "--at", "soon"), "soon")],
)
def test_invalid_notes_are_named(logship: Logship, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = logship("annotate", *arguments, "--to", str(tmp_path / "to"))
    assert (done.returncode, said in done.stderr) == (2, True)


def test_a_note_is_sent_to_the_collector_and_is_in_the_report(logship: Logship, up: Up) -> None:
    done = logship("annotate", "rolled back", "--to", f"127.0.0.1:{up.port}")
    assert "sent and acknowledged" in done.stderr
    report = logship("incident", "--last", "1h", "--json", "--source", up.http)
    (note,) = json.loads(report.stdout)["annotations"]
    assert (note["text"], note["service"]) == ("rolled back", "")
    assert note["time"][:10] == rfc3339(from_rfc3339(note["time"]))[:10]
    assert "note: " in logship("incident", "--last", "1h", "--source", up.http).stdout
