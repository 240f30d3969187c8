"""`logship tail` shows each event once, whatever happens to the collector."""

import json
import os
import random
import select
import signal
import subprocess
import time
from concurrent import futures
from pathlib import Path

import pytest

from logship.cli.commands import tail
from logship.search.kql import parse
from logship.search.query import Query
from logship.store.read.reader import Reader
from logship.store.write import merging, superseded
from logship.store.write.store import Store
from tests.cli.conftest import COMMAND, Kept, Up, environment
from tests.cli.helpers import Reading
from tests.collector.far_end import event
from tests.conftest import PROVE

TAILED = 20_000 if PROVE else 2_000


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
    monkeypatch.setattr(superseded, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(merging, "MERGE_SEGMENTS", 3)
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
