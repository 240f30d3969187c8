"""Clients that are not ours, as they come, into our collector: all arrives with the right time and fields."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from fluent import asyncsender
from fluent import sender as fluent

from logship.event.entry import pack
from logship.search.times import rfc3339
from tests.proofs import fluent_bit
from tests.proofs.fluent_bit import FluentBit
from tests.proofs.scene import PROVE, Collecting, Event, Stored, until
from tests.proofs.sender import Sender

RECORDS = 20_000 if PROVE else 1_000
TIME_NS = 1_763_650_000_500_000_000
STEP_NS = 1_000_001  # no two alike, down to the last digit

pytestmark = pytest.mark.timeout(600 if PROVE else 180)

Start = Callable[..., Collecting]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a collector with the settings given."""
    with ExitStack() as closing:

        def start(**settings: str) -> Collecting:
            collecting = Collecting(tmp_path / "state", tmp_path, **settings)
            closing.enter_context(collecting)
            collecting.wait_ready()
            return collecting

        yield start


def arrived(collecting: Collecting, count: int) -> list[Event]:
    """The events of the store by number, once there are `count`."""
    until(
        lambda: len(Stored.read(collecting.state / "store").events) >= count,
        lambda: f"{count} events, there are {len(Stored.read(collecting.state / 'store').events)}\n{collecting.said()}",
    )
    return sorted(Stored.read(collecting.state / "store").events, key=lambda event: event["numeric_labels"]["number"])


def order(number: int) -> dict[str, object]:
    """One record of somebody else's making."""
    return {
        "message": f"order {number}",
        "number": number,
        "paid": True,
        "total": 9.5,
        "shop": {"town": "Zürich", "shelf": 7},
        "http.response.status_code": 201,
    }


def check(events: list[Event], count: int, tag: str, time_of: Callable[[int], int]) -> None:
    """`count` orders are there, once each, with times, fields of the right kind, and their tag."""
    assert [event["message"] for event in events] == [f"order {number}" for number in range(count)]
    assert [event["@timestamp"] for event in events] == [rfc3339(time_of(number)) for number in range(count)]
    for event in events:
        assert event["event.dataset"] == tag
        assert event["http.response.status_code"] == 201
        assert event["labels"] | {"shop.town": "Zürich"} == event["labels"]
        assert event["numeric_labels"]["shop.shelf"] == 7
        assert event["numeric_labels"]["total"] == 9.5


def test_fluent_logger_with_nanoseconds(start: Start) -> None:
    collecting = start()
    logger = fluent.FluentSender("shop", host="127.0.0.1", port=collecting.port, nanosecond_precision=True)
    for number in range(RECORDS):
        # fluent-logger takes a float: eighths of a second are exact in it.
        assert logger.emit_with_time("orders", (TIME_NS + number * 125_000_000) / 10**9, order(number)), (
            logger.last_error
        )
    logger.close()
    check(arrived(collecting, RECORDS), RECORDS, "shop.orders", lambda number: TIME_NS + number * 125_000_000)


def test_fluent_logger_with_seconds_over_the_unix_socket(start: Start, tmp_path: Path) -> None:
    collecting = start(LOGSHIP_UNIX=str(tmp_path / "forward.sock"))
    logger = fluent.FluentSender("shop", host=f"unix://{tmp_path / 'forward.sock'}")
    for number in range(100):
        assert logger.emit_with_time("orders", TIME_NS // 10**9 + number, order(number)), logger.last_error
    logger.close()
    check(arrived(collecting, 100), 100, "shop.orders", lambda number: (TIME_NS // 10**9 + number) * 10**9)


def test_fluent_loggers_asynchronous_form(start: Start) -> None:
    collecting = start()
    logger = asyncsender.FluentSender(
        "shop", host="127.0.0.1", port=collecting.port, nanosecond_precision=True, queue_maxsize=0
    )
    for number in range(RECORDS):
        logger.emit_with_time("orders", (TIME_NS + number * 125_000_000) / 10**9, order(number))
    # Its close() throws away what is not yet sent: first everything must be there.
    events = arrived(collecting, RECORDS)
    logger.close()
    check(events, RECORDS, "shop.orders", lambda number: TIME_NS + number * 125_000_000)


def test_a_sender_of_zstd_frames(start: Start) -> None:
    collecting = start()
    with Sender(collecting.port) as sender:
        chunk = sender.send("shop.orders", [pack(TIME_NS + n * STEP_NS, order(n)) for n in range(RECORDS)], zstd=True)
        assert sender.acknowledged() == chunk
    check(arrived(collecting, RECORDS), RECORDS, "shop.orders", lambda number: TIME_NS + number * STEP_NS)


KEY = {"LOGSHIP_COLLECTOR_SHARED_KEY": "salt"}
USER = {**KEY, "LOGSHIP_COLLECTOR_USER": "ada", "LOGSHIP_COLLECTOR_PASSWORD": "lovelace"}
ACK = {"require_ack_response": "on"}
HANDS = {**ACK, "shared_key": "salt", "self_hostname": "edge"}

OUTPUTS: dict[str, tuple[Mapping[str, str], Mapping[str, str]]] = {
    "plain": ({}, {}),
    "acknowledged": ({}, ACK),
    "gzip": ({}, {**ACK, "compress": "gzip"}),
    "zstd": ({}, {**ACK, "compress": "zstd"}),
    "shared_key": (KEY, HANDS),
    "password": (USER, {**HANDS, "username": "ada", "password": "lovelace", "compress": "gzip"}),
}


@fluent_bit.needed
@pytest.mark.parametrize("name", OUTPUTS)
def test_fluent_bits_forward_output(start: Start, tmp_path: Path, name: str) -> None:
    settings, output = OUTPUTS[name]
    collecting = start(**settings)
    relay(collecting, tmp_path, {"host": "127.0.0.1", "port": collecting.port, **output})


@fluent_bit.needed
def test_fluent_bits_forward_output_over_tls(start: Start, tmp_path: Path, certificate: tuple[str, str]) -> None:
    cert, key = certificate
    collecting = start(LOGSHIP_COLLECTOR_CERT_FILE=cert, LOGSHIP_COLLECTOR_KEY_FILE=key, **KEY)
    tls = {"tls": "on", "tls.verify": "on", "tls.verify_hostname": "on", "tls.ca_file": cert}
    relay(collecting, tmp_path, {"host": "localhost", "port": collecting.port, **tls, **HANDS})


@fluent_bit.needed
def test_fluent_bits_forward_output_over_the_unix_socket(start: Start, tmp_path: Path) -> None:
    collecting = start(LOGSHIP_UNIX=str(tmp_path / "forward.sock"))
    relay(collecting, tmp_path, {"unix_path": str(tmp_path / "forward.sock"), **ACK})


def relay(collecting: Collecting, folder: Path, output: Mapping[str, object]) -> None:
    """Send orders to a Fluent Bit that forwards to the collector, and look at what comes out there."""
    with FluentBit(folder, {}, {"name": "forward", "match": "*", "retry_limit": "no_limits", **output}) as agent:
        agent.wait_ready()
        try:
            with Sender(agent.port) as sender:
                for first in range(0, RECORDS, 500):
                    entries = [pack(TIME_NS + n * STEP_NS, order(n)) for n in range(first, first + 500)]
                    chunk = sender.send("shop.orders", entries)
                    assert sender.acknowledged() == chunk, agent.said()
        except (OSError, AssertionError):
            if "invalid compress mode" not in agent.said():
                raise
            pytest.skip(f"the forward output of this Fluent Bit cannot compress with {output['compress']}")
        events = arrived(collecting, RECORDS)
    check(events, RECORDS, "shop.orders", lambda number: TIME_NS + number * STEP_NS)
    print(
        f"\nproof 6: Fluent Bit's forward output ({', '.join(output)}): {RECORDS} of {RECORDS}, each once, to the nanosecond"
    )
