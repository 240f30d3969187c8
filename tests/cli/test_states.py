"""Tables show states as people call them; JSON keeps the values of the events."""

import json

from tests.cli.conftest import Kept, Logship


def crash(kept: Kept) -> None:
    in_flight = {"logship.in_flight.ids": ["abc"], "logship.in_flight.requests": ["GET /slow 1234ms"]}
    kept.put(1, **{"service.node.name": "h/shop/w0", "logship.worker.slot": 0, "event.dataset": "logship.request"})
    kept.put(
        2,
        **{"event.action": "worker-lost", "logship.in_flight.count": 1, "event.dataset": "logship.worker"},
        **in_flight,
    )


def test_a_crashed_worker_and_its_interrupted_request_are_called_that(kept: Kept, logship: Logship) -> None:
    crash(kept)
    source = ("--source", kept.at)
    for command, word in (("workers", "crashed"), ("inflight", "interrupted"), ("verify", "crashed")):
        assert word in logship(command, *source).stdout.splitlines()[0].split("\t"), command
        assert json.loads(logship(command, "--json", *source).stdout.splitlines()[0])["state"] == "lost"
