"""`logship curl`: the command on stdout, what was not recorded on stderr, and a file for REST clients."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Kept, Logship, requests_of_a_shop


@pytest.fixture
def shop(kept: Kept) -> Kept:
    requests_of_a_shop(kept.put)
    kept.put(40, **{
        "event.dataset": "logship.request", "event.action": "http-request", "http.request.id": "own", "trace.id": "ab" * 16,
        "http.request.method": "POST", "url.path": "/it's", "url.domain": "shop.example", "url.scheme": "https",
        "http.request.body.bytes": 7, "http.response.status_code": 500,
    })  # fmt: skip
    return kept


@pytest.mark.parametrize("id_", ["own", "ab" * 16])
def test_the_command_is_on_stdout_and_the_rest_on_stderr(shop: Kept, logship: Logship, id_: str) -> None:
    done = logship("curl", id_, "--source", shop.at)
    assert (done.returncode, done.stdout) == (0, "curl --request POST 'https://shop.example/it'\"'\"'s'\n")
    assert "not recorded, and so not in the command: " in done.stderr
    assert "the body (7 B)" in done.stderr


def test_json_has_the_parts(shop: Kept, logship: Logship) -> None:
    told = json.loads(logship("curl", "own", "--json", "--to", "http://127.0.0.1:8000", "--source", shop.at).stdout)
    assert (told["method"], told["url"]) == ("POST", "http://127.0.0.1:8000/it's")
    assert "the body (7 B)" in told["not_recorded"]


def test_an_interrupted_request_has_what_its_worker_left(shop: Kept, logship: Logship) -> None:
    done = logship("curl", "abc", "--source", shop.at)
    assert done.stdout == "curl --request GET http://HOST/slow\n"
    assert "the host (replace HOST)" in done.stderr


def test_a_selection_is_written_as_a_file(shop: Kept, logship: Logship, tmp_path: Path) -> None:
    path = tmp_path / "failed.http"
    done = logship("curl", "--where", "url.path: *", "--last", "1h", "--http", str(path), "--source", shop.at)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"wrote 1 request to {path}" in done.stderr
    assert "POST https://shop.example/it's HTTP/1.1" in path.read_text()


def test_an_id_without_a_request_is_named(shop: Kept, logship: Logship) -> None:
    shop.put(41, **{"event.dataset": "logship.app", "trace.id": "cd" * 16, "message": "cache is warm"})
    done = logship("curl", "cd" * 16, "--source", shop.at)
    assert (done.returncode, done.stdout) == (2, "")
    assert "have no request with a method and a path to reproduce" in done.stderr


def test_what_is_not_there_is_named(shop: Kept, logship: Logship) -> None:
    nobody = logship("curl", "nobody", "--source", shop.at)
    assert (nobody.returncode, nobody.stderr) == (1, "nothing found: no request or trace has the id 'nobody'\n")
    assert logship("curl", "--where", "url.path: /none", "--source", shop.at).returncode == 1
    assert logship("curl", "--source", shop.at).returncode == 2
    assert logship("curl", "own", "--to", "staging", "--source", shop.at).returncode == 2
