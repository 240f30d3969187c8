"""The real Prometheus with the configuration that is mounted: it asks Fluent Bit and a collector, and answers what Grafana
asks it."""

import json
import os
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from compose.grafana_boards import LINE
from logship.event.entry import TAG, pack
from tests import needs
from tests.compose.stack import ROOT, STACK_FOR_TESTS
from tests.pipelines import agent
from tests.pipelines.agent import Agent
from tests.proofs.scene import Process, environment, free_port, until
from tests.proofs.sender import Sender
from tests.store.events import event

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
pytestmark = [
    needs.program("prometheus", PROMETHEUS and PROMTOOL, "prometheus and promtool are not on PATH"),
    pytest.mark.timeout(300),
]
TOKEN = "a secret of the test"
QUERIES = [query for _, _, queries in LINE for query, _ in queries]


def configured(folder: Path, fluent_bit: int, collector: str, token: str) -> Path:
    """What is mounted, at other addresses and asking more often."""
    shutil.copytree(ROOT / "compose/prometheus", folder)
    (folder / "collectors/shop.yaml").write_text(f'- targets: ["{collector}"]\n')
    if token:
        (folder / "collectors/token").write_text(token)
    file = folder / "prometheus.yml"
    text = file.read_text(encoding="utf-8").replace("fluent-bit:2020", f"127.0.0.1:{fluent_bit}")
    text = text.replace("15s", "1s").replace("10s", "1s")
    file.write_text(text, encoding="utf-8")
    return file


def test_the_configuration_is_good_as_it_is_shipped() -> None:
    words = [PROMTOOL or "", "check", "config", str(ROOT / "compose/prometheus/prometheus.yml")]
    checked = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@agent.needed
@pytest.mark.parametrize("token", [TOKEN, ""], ids=["with a token", "without a token"])
def test_it_takes_its_configuration_and_finds_what_the_dashboard_asks(tmp_path: Path, token: str) -> None:
    told = {"LOGSHIP_STATE_DIR": str(tmp_path / "state")} | ({"LOGSHIP_TOKEN": token} if token else {})
    forward, http, own = free_port(), free_port(), free_port()
    words = [sys.executable, "-m", "logship", "up", "--forward", f"127.0.0.1:{forward}", "--http", f"127.0.0.1:{http}"]
    with (
        Agent(tmp_path, {"FLB_TO_FILE": TAG}) as fluent_bit,
        Process(words, environment(**told), tmp_path / "up.txt"),
    ):
        fluent_bit.wait_ready()
        file = configured(tmp_path / "mounted", fluent_bit.http, f"127.0.0.1:{http}", token)
        checked = subprocess.run([PROMTOOL or "", "check", "config", str(file)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        words = STACK_FOR_TESTS["services"]["prometheus"]["command"]
        moved = {"/etc/prometheus": str(file.parent), "=/prometheus": f"={tmp_path / 'series'}"}
        for place, here in moved.items():
            words = [word.replace(place, here) for word in words]
        command = [PROMETHEUS or "", *words, f"--web.listen-address=127.0.0.1:{own}"]
        with Process(command, {"PATH": os.environ["PATH"]}, tmp_path / "prometheus.txt") as asking:

            def ask(path: str, **words: str) -> Any:
                url = f"http://127.0.0.1:{own}/api/v1/{path}?{urllib.parse.urlencode(words)}"
                try:
                    with urllib.request.urlopen(url, timeout=10) as answer:
                        return json.load(answer)["data"]
                except OSError:
                    return {}

            def healthy() -> set[str]:
                targets = ask("targets").get("activeTargets", [])
                return {one["labels"]["job"] for one in targets if one["health"] == "up"}

            until(
                lambda: healthy() == {"fluent-bit", "logship-collector"}, lambda: f"{ask('targets')}\n{asking.said()}"
            )
            for port in (fluent_bit.port, forward):
                sender = Sender(port)
                sender.send(TAG, [pack(*event(number)) for number in range(1, 40)])
                sender.acknowledged()
                sender.close()
            without: set[str] = set(QUERIES)

            def answered() -> bool:
                without.difference_update([query for query in without if ask("query", query=query).get("result")])
                return not without

            until(answered, lambda: sorted(without))
