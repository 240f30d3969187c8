"""Answers on stdout, talk on stderr; tables, JSON and CSV; 0 found, 1 nothing."""

import csv
import json
import os
import pty
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import pytest

from logship.cli.commands import tail
from logship.search.kql import parse
from logship.search.query import Query
from logship.store.read.reader import Reader
from logship.store.write import maintenance
from logship.store.write.store import Store
from tests.cli.conftest import COMMAND, Kept, Logship, Up, environment
from tests.collector.far_end import event
from tests.conftest import PROVE

TAILED = 20_000 if PROVE else 2_000


def lines(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


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


def test_short_names_and_values_work_and_are_printed_in_full(kept: Kept, logship: Logship) -> None:
    kept.put(1, **{"http.response.status_code": 503, "event.duration": 200_000_000, "labels": {"tenant": "acme"}})
    kept.put(2, **{"http.response.status_code": 200, "event.duration": 20_000_000, "log.level": "error"})
    asked = ("--source", kept.at)
    assert lines(logship("count", "status: 5xx and duration > 100ms", *asked).stdout) == [["1"]]
    assert lines(logship("top", "status", *asked).stdout) == [["200", "1", "50.0%"], ["503", "1", "50.0%"]]
    assert "level" in logship("fields", "level", *asked).stdout.split("\n")[0].split("\t")
    told = logship("kql", "status: 5xx and tenant: acme or level: ERROR", *asked)
    assert told.stdout.strip() == (
        "http.response.status_code >= 500 and http.response.status_code < 600 and labels.tenant: acme"
        " or log.level: error or log.level: ERROR"
    )
    told = logship("kql", "status: 500 and tenant: acme", LOGSHIP_SOURCE="http://127.0.0.1:1")
    assert told.stdout.strip() == "http.response.status_code: 500 and labels.tenant: acme"
    assert "the labels are not known" in told.stderr


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
        "status: >= 500": "written status >= 500",
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


def test_tail_shows_what_arrives_from_now_on(up: Up, tmp_path: Path) -> None:
    up.put(1)
    process = subprocess.Popen(
        [*COMMAND, "tail", "--json", "-n", "0", "--source", up.http], env=environment(tmp_path), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    seen, number, ends = b"", 1, time.monotonic() + 30
    while b"\n" not in seen:
        assert time.monotonic() < ends
        number += 1
        up.put(number)
        if select.select([process.stdout], [], [], 0.1)[0]:
            seen += os.read(process.stdout.fileno(), 65536)
    assert json.loads(seen.splitlines()[0])["event.sequence"] > 1
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    process.stdout.close()


@pytest.mark.timeout(1900 if PROVE else 180)
def test_a_tail_shows_each_event_once_while_logs_are_rolled_sealed_and_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(maintenance, "MERGE_SEGMENTS", 3)
    monkeypatch.setattr(tail, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(tail, "PAGE_ROWS", 50)
    monkeypatch.setattr(tail, "RETRY_SECONDS", 0.1)

    def write() -> None:
        chance, number = random.Random(20261121), 0
        while number < TAILED:
            some = range(number + 1, min(number + chance.choice((1, 1, 2, 9, 70)), TAILED) + 1)
            labels = ({"even": "no" if one % 2 else "yes"} for one in some)
            store.append([(time.time_ns(), event(one, labels=held)) for one, held in zip(some, labels, strict=True)])
            number = some[-1]
            time.sleep(chance.random() * 0.02)

    def follow(kql: str) -> list[int]:
        seen: list[int] = []
        query = Query(parse(kql))
        # Asked while the store is empty, so that it is all of them.
        for records in tail.arriving(reader, query, "-1"):
            seen += [record["event.sequence"] for record in records]
            if (seen and seen[-1] >= TAILED) or time.monotonic() > ends:
                break
        return seen

    ends = time.monotonic() + (1800 if PROVE else 120)
    with Store(tmp_path / "store", roll_records=20) as store, futures.ThreadPoolExecutor(3) as pool:
        reader = Reader(tmp_path / "store")
        writing = pool.submit(write)
        all_of_them, half = pool.submit(follow, "message: *"), pool.submit(follow, "labels.even: yes")
        assert all_of_them.result() == list(range(1, TAILED + 1))
        assert half.result() == list(range(2, TAILED + 1, 2))
        writing.result()
        reader.close()


def test_workers_lists_them(kept: Kept, logship: Logship) -> None:
    kept.put(1, 2, **{"service.node.name": "h/shop/w0", "logship.worker.slot": 0, "event.dataset": "logship.request"})
    (row,) = map(json.loads, logship("workers", "--json", "--source", kept.at).stdout.splitlines())
    assert (row["node"], row["slot"], row["state"]) == ("h/shop/w0", 0, "alive")
    assert logship("workers", "--until", "1d", "--since", "2d", "--source", kept.at).returncode == 1


def two_services(kept: Kept) -> None:
    for first, service, slot in ((1, "shop", 0), (11, "shop", 1), (21, "billing", 0)):
        worker = {"service.name": service, "service.node.name": f"h/{service}/w{slot}", "logship.worker.slot": slot}
        life = {"service.ephemeral_id": f"{first:024x}", "event.dataset": "logship.request", "event.duration": 10**6}
        for number in range(1, 5):
            kept.put(number, **worker, **life, **{"event.id": f"{first:024x}-{number:012d}"})
    lost = {"logship.in_flight.requests": ["GET /a 3ms"], "logship.in_flight.ids": ["a"], "logship.in_flight.count": 1}
    kept.put(30, **lost, **{"service.name": "billing", "event.action": "worker-lost", "error.type": "bank.Declined"})


def test_workers_of_several_services_are_told_apart(kept: Kept, logship: Logship) -> None:
    two_services(kept)
    asked = ("--source", kept.at)
    told = lines(logship("workers", *asked).stdout)
    assert [(line[0], line[1]) for line in told] == [
        ("billing", "h/billing/w0"),
        ("shop", "h/shop/w0"),
        ("shop", "h/shop/w1"),
    ]
    rows = [json.loads(line) for line in logship("workers", "--json", "--service", "shop", *asked).stdout.splitlines()]
    assert [(row["service"], row["share"]) for row in rows] == [("shop", 0.5), ("shop", 0.5)]
    assert len(lines(logship("workers", "--service", "shop", *asked).stdout)[0]) == len(told[0]) - 1
    assert lines(logship("count", "--service", "billing", *asked).stdout) == [["5"]]
    (row,) = [
        json.loads(line) for line in logship("inflight", "--service", "billing", "--json", *asked).stdout.splitlines()
    ]
    assert row["service"] == "billing"
    told = lines(logship("verify", *asked).stdout)
    assert {line[0] for line in told} == {"shop", "billing"}
    shares = logship("view", "shares", *asked).stdout
    assert [line.split("\t")[:2] for line in shares.splitlines() if "\t" in line] == [
        ["billing", "h/billing/w0"],
        ["shop", "h/shop/w0"],
        ["shop", "h/shop/w1"],
    ]
    assert shares.count("50.0%") == 2
    missing = logship("search", "--service", "shpo", *asked)
    assert "there are no events of service 'shpo', only of: billing, shop" in missing.stderr


def test_lists_are_words_in_a_pipe_and_errors_are_named(kept: Kept, logship: Logship) -> None:
    two_services(kept)
    told = logship("view", "deaths", "--source", kept.at).stdout
    assert told.rstrip().endswith("\tGET /a 3ms")
    assert "Declined" in lines(logship("search", "error: *", "--source", kept.at).stdout)[0]


@pytest.mark.parametrize(("sequences", "status", "finding"), [((1, 2, 3), 0, "complete"), ((1, 3), 1, "missing")])
def test_verify_says_whether_everything_arrived(
    kept: Kept, logship: Logship, sequences: tuple[int, ...], status: int, finding: str
) -> None:
    kept.put(*sequences)
    kept.put(4, **{"event.dataset": "logship.worker", "event.action": "worker-closed", "logship.emitted": 4})
    told = logship("verify", "--json", "--source", kept.at)
    assert told.returncode == status
    assert json.loads(told.stdout)["finding"] == finding


def test_inflight_names_requests_that_died_with_their_worker(kept: Kept, logship: Logship) -> None:
    assert logship("inflight", "--source", kept.at).returncode == 1
    kept.put(
        1,
        **{
            "event.action": "worker-lost",
            "logship.in_flight.ids": ["abc"],
            "logship.in_flight.requests": ["GET /slow 1234ms"],
            "logship.in_flight.count": 1,
            "logship.worker.slot": 3,
        },
    )
    told = logship("inflight", "3", "--json", "--source", kept.at)
    assert told.returncode == 0
    row = json.loads(told.stdout)
    assert (row["state"], row["id"], row["what"], row["age_ns"]) == ("lost", "abc", "GET /slow", 1_234_000_000)
    nobody = logship("inflight", "4", "--source", kept.at)
    assert (nobody.returncode, nobody.stderr.startswith("nothing of worker 4 is in flight")) == (1, True)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[None]:
    """A worker of the state directory `tmp_path` that answers GET /slow for as long as the test takes."""
    code = (
        "import asyncio, logship\n"
        "async def app(scope, receive, send): print(flush=True); await asyncio.sleep(600)\n"
        "logship.configure(agent='127.0.0.1:9', service='shop')\n"
        "scope = {'type': 'http', 'method': 'GET', 'path': '/slow', 'headers': [(b'x-request-id', b'slow-one')],"
        " 'http_version': '1.1'}\n"
        "asyncio.run(logship.RequestLog(app)(scope, None, None))"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], env=environment(tmp_path), stdout=subprocess.PIPE)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"\n"
    yield
    worker.kill()
    worker.communicate()


def test_inflight_of_a_slot_names_what_runs_in_that_slot_alone(running: None, kept: Kept, logship: Logship) -> None:
    (row,) = lines(logship("inflight", "--slot", "0", "--source", kept.at).stdout)
    assert (row[0], row[-1]) == ("running", "GET /slow")
    assert logship("inflight", "--slot", "1", "--source", kept.at).stdout == ""


def test_inflight_over_http_names_what_runs_where_the_collector_is(
    running: None, up: Up, tmp_path: Path, logship: Logship
) -> None:
    elsewhere = {"LOGSHIP_STATE_DIR": str(tmp_path / "elsewhere")}
    (row,) = lines(logship("inflight", "--source", up.http, **elsewhere).stdout)
    assert (row[0], row[-1]) == ("running", "GET /slow")
    (row,) = lines(logship("inflight", "--source", up.http).stdout)  # seen twice, shown once
    assert row[0] == "running"
    drawn = logship("trace", row[5], "--source", up.http, **elsewhere)
    assert drawn.returncode == 0, drawn.stderr
    assert "GET /slow is still running" in drawn.stdout
    # A store of the same events elsewhere: its workers' requests cannot be seen, and that is said.
    worker = {"service.node.name": "h/shop/w0", "logship.worker.slot": 0, "event.action": "worker-heartbeat"}
    up.put(1, **worker, **{"logship.requests.in_flight": 2})
    told = logship("inflight", "--source", str(tmp_path / "store"), **elsewhere)
    assert (told.returncode, told.stdout) == (4, "")
    assert "running requests of 1 worker are not visible from here (h/shop/w0: 2 in flight" in told.stderr


def test_times_are_those_of_the_person_and_utc_on_demand(kept: Kept, logship: Logship) -> None:
    kept.put(1)
    asked = ("search", "--source", kept.at)
    assert lines(logship(*asked, TZ="Asia/Tokyo").stdout)[0][0].endswith("+0900")
    assert lines(logship(*asked, "--utc", TZ="Asia/Tokyo").stdout)[0][0].endswith("+0000")
    assert "JST +09:00" in logship("search", "nothing", "--source", kept.at, TZ="Asia/Tokyo").stderr
    ago = ("--since", "now-1h", "--until", "now+1h")
    assert logship(*asked, *ago, TZ="America/New_York").returncode == 0


def test_count_counts(kept: Kept, logship: Logship) -> None:
    kept.put(1, 2, 3)
    told = logship("count", "event.sequence >= 2", "--source", kept.at)
    assert (told.returncode, told.stdout) == (0, "2\n")
    assert json.loads(logship("count", "--json", "--source", kept.at).stdout) == {"count": 3}
    assert logship("count", "event.sequence > 9", "--source", kept.at).returncode == 1


def test_top_lists_values_with_their_share(kept: Kept, logship: Logship) -> None:
    kept.put(1, 2, 3, **{"http.route": "/a"})
    kept.put(4, **{"http.route": "/b"})
    kept.put(5)
    told = logship("top", "http.route", "--source", kept.at)
    assert lines(told.stdout) == [["/a", "3", "75.0%"], ["/b", "1", "25.0%"]]
    (row,) = map(
        json.loads, logship("top", "http.route", "--limit", "1", "--json", "--source", kept.at).stdout.splitlines()
    )
    assert row == {"value": "/a", "events": 3, "share": 0.75}
    assert logship("top", "http.route", "event.sequence: 5", "--source", kept.at).returncode == 1
    assert logship("top", "http.rout", "--source", kept.at).returncode == 2


def test_fields_lists_what_occurs(kept: Kept, logship: Logship) -> None:
    kept.put(1, labels={"tenant": "a"})
    kept.put(2)
    told = {line[0]: line[1:] for line in lines(logship("fields", "--source", kept.at).stdout)}
    assert told["labels.tenant"] == ["keyword", "1", "Set by the application.", ""]
    assert told["message"] == ["text", "2", "What happened, in one line for people.", ""]
    assert [line[0] for line in lines(logship("fields", "TENANT", "--source", kept.at).stdout)] == ["labels.tenant"]
    assert logship("fields", "nowhere", "--source", kept.at).returncode == 1


def test_context_is_of_the_same_worker_or_of_all(kept: Kept, logship: Logship) -> None:
    for number in range(1, 9):
        kept.put(number, **{"service.node.name": f"h/w{number % 2}", "http.request.id": f"r{number}"})
    asked = ("context", "r4", "-B", "1", "-A", "2", "--json")
    source = ("--source", kept.at)
    told = logship(*asked, *source).stdout.splitlines()
    assert [json.loads(line)["event.sequence"] for line in told] == [2, 4, 6, 8]
    told = logship(*asked, "--all", *source).stdout.splitlines()
    assert [json.loads(line)["event.sequence"] for line in told] == [3, 4, 5, 6]
    assert logship("context", "nothing", *source).returncode == 1


def test_verify_that_cannot_know_is_status_4(kept: Kept, logship: Logship) -> None:
    kept.put(1, 3)
    told = logship("verify", "--json", "--source", kept.at)
    assert json.loads(told.stdout)["finding"] == "unknown"
    assert told.returncode == 4


class Reading:
    """A command whose stdout is read line by line."""

    def __init__(self, tmp_path: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *words], 0, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.out, self.told = self.process.stdout, self.process.stderr

    def line(self) -> dict[str, object]:
        assert select.select([self.out], [], [], 30)[0], "nothing came"
        found: dict[str, object] = json.loads(self.out.readline())
        return found

    def end(self) -> bytes:
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=30)[1]
        assert self.process.returncode == 0
        return said


def test_tail_begins_with_the_last_ones_and_shows_each_event_once(kept: Kept, tmp_path: Path) -> None:
    kept.put(*range(1, 21))
    tail = Reading(tmp_path, "tail", "--json", "-n", "3", "--source", kept.at)
    assert [tail.line()["event.sequence"] for _ in range(3)] == [18, 19, 20]
    kept.put(21, 22)
    assert [tail.line()["event.sequence"] for _ in range(2)] == [21, 22]
    assert tail.end() == b""


def test_tail_goes_on_after_the_collector_was_restarted(up: Up, tmp_path: Path) -> None:
    up.put(1)
    tail = Reading(tmp_path, "tail", "--json", "--source", up.http)
    assert tail.line()["event.sequence"] == 1
    up.put(2)
    assert tail.line()["event.sequence"] == 2
    assert up.stop()[0] == 0
    assert b"retrying" in tail.told.readline()
    again = Up(tmp_path, "--http", up.http.removeprefix("http://"))
    again.put(3, 4)
    assert [tail.line()["event.sequence"] for _ in range(2)] == [3, 4]
    said = tail.end()
    assert b"reachable again" in said
    assert b"skipped" not in said
    again.stop()


def test_tail_says_that_it_skips_when_another_store_answers(up: Up, tmp_path: Path) -> None:
    up.put(*range(1, 11))
    tail = Reading(tmp_path, "tail", "--json", "-n", "1", "--source", up.http)
    tail.line()
    up.stop()
    assert b"retrying" in tail.told.readline()
    again = Up(tmp_path, "--http", up.http.removeprefix("http://"), "--dir", str(tmp_path / "another"))
    said = tail.told.readline()
    assert b"events skipped: the source is a different store now" in said
    again.put(99)
    assert tail.line()["event.sequence"] == 99
    tail.end()
    again.stop()


def test_watching_workers_shows_them_again_and_again(kept: Kept, tmp_path: Path) -> None:
    kept.put(1, **{"service.node.name": "h/shop/w0", "logship.worker.slot": 0})
    watch = Reading(tmp_path, "workers", "--watch", "--json", "--source", kept.at)
    assert [watch.line()["node"] for _ in range(2)] == ["h/shop/w0"] * 2
    watch.end()


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
