"""`logship page` serves any source."""

import json
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from tests.cli.conftest import COMMAND, Logship, Up, environment


def test_the_page_alone_answers_over_any_source(up: Up, logship: Logship, tmp_path: Path) -> None:
    up.put(1, 2, 3)
    for source in (str(tmp_path / "store"), up.http):
        page = subprocess.Popen(
            [*COMMAND, "page", "--source", source, "--http", "127.0.0.1:0", "--json"],
            env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert page.stdout is not None
        url = json.loads(page.stdout.readline())["http"]
        assert logship("count", "--source", url).stdout == "3\n"
        with urllib.request.urlopen(f"{url}/") as answer:
            assert answer.headers["content-type"].startswith("text/html")
        page.send_signal(signal.SIGINT)
        assert page.communicate(timeout=60)[1] == ""
        assert page.returncode == 0
