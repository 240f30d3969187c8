"""`logship search` finds events, and says what it did not find."""

import csv
import json
import os
import pty
import signal
import subprocess
from pathlib import Path

from tests.cli.conftest import COMMAND, Kept, Logship, Up, environment
from tests.cli.helpers import lines


def test_search_finds_what_was_acknowledged_newest_last(kept: Kept, logship: Logship) -> None:
    kept.put(1, 2, 3, **{"log.level": "info", "event.duration": 12_300_000})
    told = logship("search", "--source", kept.at)
    assert told.returncode == 0
    assert [line[-1] for line in lines(told.stdout)] == ["event 1", "event 2", "event 3"]
    assert lines(told.stdout)[0][3:6] == ["info", "", "12.3 ms"]


def test_search_answers_as_json_and_csv(kept: Kept, logship: Logship) -> None:
    kept.put(1, 2, labels={"a": "x,y"})
    told = [json.loads(line) for line in logship("search", "--json", "--source", kept.at).stdout.splitlines()]
    assert [record["event.sequence"] for record in told] == [1, 2]
    rows = list(csv.DictReader(logship("search", "--csv", "--source", kept.at).stdout.splitlines()))
    assert [row["message"] for row in rows] == ["event 1", "event 2"]
    assert rows[0]["labels.a"] == "x,y"


def test_search_finds_nothing_and_says_where_the_store_begins(kept: Kept, logship: Logship) -> None:
    assert "the store is empty" in logship("search", "--source", kept.at).stderr
    kept.put(1)
    told = logship("search", "message: other", "--source", kept.at)
    assert (told.returncode, told.stdout) == (1, "")
    assert "nothing found; the oldest event is from 20" in told.stderr


def test_a_slot_a_window_and_a_limit_narrow_the_search(kept: Kept, logship: Logship) -> None:
    kept.put(1, 2, **{"logship.worker.slot": 0})
    kept.put(3, 4, **{"logship.worker.slot": 1})
    ask = ("search", "--source", kept.at)
    assert [line[-1] for line in lines(logship(*ask, "--slot", "1").stdout)] == ["event 3", "event 4"]
    told = logship(*ask, "--limit", "1")
    assert [line[-1] for line in lines(told.stdout)] == ["event 4"]
    assert "the newest 1" in told.stderr
    assert len(lines(logship(*ask, "--limit", "0", "event.sequence >= 2").stdout)) == 3
    assert logship(*ask, "--until", "1h").returncode == 1
    assert logship(*ask, "--last", "1h").returncode == 0


def test_a_name_that_nothing_has_is_said(kept: Kept, logship: Logship) -> None:
    kept.put(1, 2, **{"http.response.status_code": 503, "labels": {"tenant": "acme"}})
    asked = ("--source", kept.at)
    told = logship("search", "status >= 500 or basket: 7", *asked)
    assert (told.returncode, len(lines(told.stdout))) == (0, 2)
    assert "no event has a field or label 'basket'" in told.stderr
    told = logship("count", "labels.tennant: acme", *asked)
    assert "no event has a field or label 'labels.tennant'; did you mean tenant?" in told.stderr
    for wrong, fix in {
        "level=error": "write level: error",
        'level="error"': 'write level: "error"',
        "status in (500, 502)": "write status: (a or b)",
        "status: >= 500": "write a range as status >= 500",
        "level: error && status: 500": 'write "and"',
        "statsu: 500": "did you mean status?",
        "tenant=acme": "write tenant: acme",
    }.items():
        told = logship("count", wrong, *asked)
        assert (told.returncode, told.stdout) == (2, ""), wrong
        assert fix in told.stderr


def test_a_directory_can_be_asked_while_it_is_written_and_after(up: Up, logship: Logship, tmp_path: Path) -> None:
    up.put(1)
    store = str(tmp_path / "store")
    assert logship("search", "--source", store).returncode == 0
    assert up.stop()[0] == 0
    assert logship("search", "--source", store).returncode == 0
    assert logship("search").returncode == 0  # the store of the state directory, when no collector is there


def test_the_collector_of_this_machine_is_asked_without_a_source(up: Up, logship: Logship) -> None:
    up.put(1)
    told = logship("search", LOGSHIP_HTTP=up.http.removeprefix("http://"), LOGSHIP_STORE_DIR="/nowhere")
    assert told.returncode == 0, told.stderr


def test_control_characters_never_reach_a_terminal(kept: Kept, tmp_path: Path) -> None:
    kept.put(1, message="before \x1b[2J\x07 \u202e after")
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "search", "--source", kept.at], env=environment(tmp_path, NO_COLOR="1"), stdout=terminal
    )
    assert process.wait(60) == 0
    os.close(terminal)
    shown = os.read(main, 65536).decode()
    os.close(main)
    assert "before \\x1b[2J\\x07" in shown
    assert "Message" in shown
    assert "\x1b[2J" not in shown
    assert "\x07" not in shown
    assert "\x1b[31m" not in shown


def test_times_are_those_of_the_person_and_utc_on_demand(kept: Kept, logship: Logship) -> None:
    kept.put(1)
    asked = ("search", "--source", kept.at)
    assert lines(logship(*asked, TZ="Asia/Tokyo").stdout)[0][0].endswith("+0900")
    assert lines(logship(*asked, "--utc", TZ="Asia/Tokyo").stdout)[0][0].endswith("+0000")
    assert "JST +09:00" in logship("search", "nothing", "--source", kept.at, TZ="Asia/Tokyo").stderr
    ago = ("--since", "now-1h", "--until", "now+1h")
    assert logship(*asked, *ago, TZ="America/New_York").returncode == 0


def test_ctrl_c_ends_a_question_without_a_word(kept: Kept, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "search", "--source", kept.at],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.send_signal(signal.SIGINT)  # wherever it is just now: even while Python starts
    said = process.communicate(timeout=30)[1]
    assert b"error" not in said
    assert process.returncode in {0, 1, 130, -signal.SIGINT}
