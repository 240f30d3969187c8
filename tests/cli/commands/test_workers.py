"""`logship workers` lists workers, of one or several services."""

import json
from pathlib import Path

from tests.cli.conftest import Kept, Logship
from tests.cli.helpers import Reading, lines, two_services


def test_workers_lists_them(kept: Kept, logship: Logship) -> None:
    kept.put(1, 2, **{"service.node.name": "h/shop/w0", "logship.worker.slot": 0, "event.dataset": "logship.request"})
    (row,) = map(json.loads, logship("workers", "--json", "--source", kept.at).stdout.splitlines())
    assert (row["node"], row["slot"], row["state"]) == ("h/shop/w0", 0, "alive")
    assert logship("workers", "--until", "1d", "--since", "2d", "--source", kept.at).returncode == 1


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


def test_watching_workers_shows_them_again_and_again(kept: Kept, tmp_path: Path) -> None:
    kept.put(1, **{"service.node.name": "h/shop/w0", "logship.worker.slot": 0})
    watch = Reading(tmp_path, "workers", "--watch", "--json", "--source", kept.at)
    assert [watch.line()["node"] for _ in range(2)] == ["h/shop/w0"] * 2
    watch.end()
