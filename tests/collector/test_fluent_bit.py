"""The handshake with a real Fluent Bit, as agent and as sender, whatever its host name is."""

import contextlib
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from logship.connect.agent import AgentConnection
from logship.errors import SourceError
from logship.settings import load
from tests import needs
from tests.collector.far_end import Running
from tests.proofs.scene import Process, environment, free_port, listens, until

BINARY = shutil.which("fluent-bit")
pytestmark = needs.program("fluent-bit", BINARY, "fluent-bit is not on PATH: install Fluent Bit to have the handshake tried")
# Its default is "localhost"; operators write the machine's own name, which is ours as well.
HOSTNAMES = ["", "localhost", socket.gethostname()]
Start = Callable[..., Running]


@contextlib.contextmanager
def fluent_bit(folder: Path, *lines: str) -> Iterator[Process]:
    config = folder / "fluent-bit.yaml"
    config.write_text("\n".join(["service:", "  flush: 0.2", "pipeline:", *lines, ""]), encoding="utf-8")
    with Process([BINARY or "", "-c", config], environment(), folder / "fluent-bit.txt") as process:
        yield process


def named(hostname: str) -> list[str]:
    return [f"      self_hostname: {hostname}"] if hostname else []


@pytest.mark.parametrize("hostname", HOSTNAMES)
def test_fluent_bit_as_agent_is_believed_and_one_with_another_key_is_not(tmp_path: Path, hostname: str) -> None:
    port = free_port()
    agent = ["  inputs:", "    - name: forward", f"      port: {port}", "      shared_key: the key", *named(hostname)]
    with fluent_bit(tmp_path, *agent, "  outputs:", "    - name: 'null'", "      match: '*'") as process:
        until(lambda: process.ended() or listens(port), process.said)
        settings = load({"agent_shared_key": "the key"}, {})
        with contextlib.closing(AgentConnection(f"127.0.0.1:{port}", settings)) as sender:
            assert sender.put([(time.time_ns(), {"message": "hello"})]) == (1, 0)
        with pytest.raises(SourceError, match="LOGSHIP_AGENT_SHARED_KEY"):
            AgentConnection(f"127.0.0.1:{port}", load({"agent_shared_key": "another"}, {}))


@pytest.mark.parametrize("hostname", HOSTNAMES)
def test_fluent_bit_as_sender_believes_the_collector(tmp_path: Path, start: Start, hostname: str) -> None:
    running = start(collector_shared_key="the key")
    output = ["  outputs:", "    - name: forward", "      match: '*'", "      host: 127.0.0.1", f"      port: {running.port}"]
    key = ["      shared_key: the key", "      require_ack_response: on", *named(hostname)]
    source = ["  inputs:", "    - name: dummy", "      samples: 3", "      tag: shop"]
    with fluent_bit(tmp_path, *source, *output, *key):
        running.when(lambda: running.health()["stored_total"] == 3, 60)
    assert {record["event.dataset"] for record in running.records()} == {"shop"}
