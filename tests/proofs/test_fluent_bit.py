"""A real Fluent Bit as the agent: everything arrives, through kills of it; and with key, password, TLS, unix socket."""

import random
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from tests.proofs import fluent_bit
from tests.proofs.figures import row
from tests.proofs.fluent_bit import FluentBit
from tests.proofs.scene import PROVE, SHOPS, Load, Process, Shop, environment, until

KILLS = 5 if PROVE else 2
LOAD_SECONDS = 6.0 if PROVE else 2.0
EVENTS = 1000

pytestmark = [fluent_bit.needed, pytest.mark.timeout(600 if PROVE else 180)]


def test_everything_arrives_through_kills_of_fluent_bit(tmp_path: Path) -> None:
    with FluentBit(tmp_path, {}) as agent:
        agent.wait_ready()
        with Shop(tmp_path, f"127.0.0.1:{agent.port}", 2, tmp_path / "state", LOGSHIP_ACK_TIMEOUT_SECONDS="2") as shop:
            shop.wait_ready()
            with Load(shop.port, 16, 0.03) as load:
                for _ in range(KILLS):
                    time.sleep(random.uniform(0.2, LOAD_SECONDS))
                    agent.kill_and_restart()
                time.sleep(0.5)
            notes = shop.notes()
            until(
                lambda: not notes.ended - requests(agent).keys(),
                lambda: f"{len(notes.ended - requests(agent).keys())} requests\n{agent.said()}",
            )
            shop.stop()
        until(lambda: len(closed(agent)) == 2, lambda: f"goodbyes, there are {closed(agent)}\n{agent.said()}")
        records = agent.records()
    steps = {
        (record["http.request.id"], int(record["numeric_labels"]["step"]))
        for record in records
        if record["event.dataset"] == "logship.app"
        and "numeric_labels" in record
        and "step" in record["numeric_labels"]
    }
    assert not notes.logged - steps
    assert not notes.begun.keys() - requests(agent).keys()
    arrived: defaultdict[str, set[int]] = defaultdict(set)
    for record in records:
        arrived[record["service.ephemeral_id"]].add(record["event.sequence"])
    for life, last in closed(agent).items():
        assert arrived[life] == set(range(1, max(last, *arrived[life]) + 1))
    once = sum(map(len, arrived.values()))
    # Fluent Bit itself repeats what it had delivered and not noted: the store and Elasticsearch keep one by `event.id`.
    row(
        "Fluent Bit is killed with -9",
        "2 uvicorn workers under load, Fluent Bit with its buffer on disk, at random moments; doubled: sent by it again",
        f"{KILLS} kills, {len(load.asked):,} requests, {once:,} events",
        lost=len(notes.logged - steps) + len(notes.begun.keys() - requests(agent).keys()),
        doubled=len(records) - once,
        wrong=sum(arrived[life] != set(range(1, max(last, *arrived[life]) + 1)) for life, last in closed(agent).items()),
    )
    print(
        f"\nproof 5: Fluent Bit killed -9 {KILLS} times under load: {len(load.asked)} requests, {once} events emitted, "
        f"all arrived; {len(records) - once} of them came twice"
    )


def requests(agent: FluentBit) -> Counter[str]:
    """How often the end of each request arrived."""
    return Counter(
        record["http.request.id"] for record in agent.records() if record.get("event.action") == "http-request"
    )


def closed(agent: FluentBit) -> dict[str, int]:
    """The last sequence of each life that said goodbye."""
    return {
        record["service.ephemeral_id"]: record["event.sequence"]
        for record in agent.records()
        if record.get("event.action") == "worker-closed"
    }


def send_burst(folder: Path, agent: str, **settings: str) -> Process:
    """A process that logs EVENTS lines and ends when they are acknowledged."""
    around = environment(
        LOGSHIP_STATE_DIR=str(folder / "state"), LOGSHIP_AGENT=agent, LOGSHIP_SERVICE="burst", **settings
    )
    return Process([sys.executable, SHOPS / "burst.py", str(EVENTS)], around, folder / "burst.txt")


def check_burst(folder: Path, agent: FluentBit, address: str, **settings: str) -> None:
    """All lines of a burst to `address` arrive with their time and fields."""
    with send_burst(folder, address, **settings) as process:
        until(process.ended, lambda: f"the burst\n{process.said()}\n{agent.said()}")
        assert process.process is not None
        assert process.process.returncode == 0, process.said()
    until(lambda: len(agent.records()) >= EVENTS + 1, lambda: f"{len(agent.records())} arrived\n{agent.said()}")
    lines = [record for record in agent.records() if record["message"] == "line"]
    assert [record["numeric_labels"]["number"] for record in lines] == list(range(EVENTS))
    assert {record["service.name"] for record in lines} == {"burst"}
    assert lines[0]["log.level"] == "info"


def test_a_shared_key_with_user_and_password_opens_the_real_one(tmp_path: Path) -> None:
    secured = {"shared_key": "salt", "self_hostname": "agent", "security.users": "ada lovelace"}
    with FluentBit(tmp_path, secured) as agent:
        agent.wait_ready()
        check_burst(
            tmp_path,
            agent,
            f"127.0.0.1:{agent.port}",
            LOGSHIP_AGENT_SHARED_KEY="salt",
            LOGSHIP_AGENT_USER="ada",
            LOGSHIP_AGENT_PASSWORD="lovelace",
        )


def test_a_wrong_key_is_refused_by_the_real_one_and_said(tmp_path: Path) -> None:
    with FluentBit(tmp_path, {"shared_key": "salt", "self_hostname": "agent"}) as agent:
        agent.wait_ready()
        with send_burst(tmp_path, f"127.0.0.1:{agent.port}", LOGSHIP_AGENT_SHARED_KEY="pepper") as process:
            until(lambda: "no acknowledgement from the agent" in process.said(), process.said)
        assert "key" in process.said()
        assert agent.records() == []


def test_tls_reaches_the_real_one(tmp_path: Path, certificate: tuple[str, str]) -> None:
    with FluentBit(tmp_path, {"tls": "on", "tls.crt_file": certificate[0], "tls.key_file": certificate[1]}) as agent:
        agent.wait_ready()
        check_burst(tmp_path, agent, f"tls://localhost:{agent.port}", LOGSHIP_AGENT_CA_FILE=certificate[0])


def test_the_unix_socket_of_the_real_one_is_spoken_to(tmp_path: Path) -> None:
    path = tmp_path / "forward.sock"
    with FluentBit(tmp_path, {"unix_path": str(path)}) as agent:
        agent.wait_ready()
        check_burst(tmp_path, agent, f"unix://{path}")
