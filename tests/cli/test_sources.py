"""A store's directory and the collector that writes it answer every question alike, in every form."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.search.views import VIEWS
from tests.cli.conftest import Up, invoke, requests_of_a_shop

QUESTIONS = [
    ("search",),
    ("search", "--json", "--slot", "1"),
    ("search", "--csv", "http.response.status_code >= 500"),
    ("search", "--limit", "0"),
    ("search", "message: nothing"),
    ("count",),
    ("count", "event.sequence > 10", "--csv"),
    ("top", "http.route"),
    ("top", "service.node.name", "http.response.status_code: 500", "--json"),
    ("fields",),
    ("fields", "http", "--csv"),
    ("context", "request-1", "-B", "2", "-A", "2"),
    ("context", "request-1", "--all", "--json"),
    ("trace", "request-2"),
    ("trace", "abc"),
    ("workers", "--json", "--since", "1h"),
    ("inflight", "--csv"),
    ("findings", "--since", "1h", "--json"),
    ("verify",),
    ("verify", "--json"),
    ("export",),
    ("export", "--format", "csv", "http.response.status_code: 200"),
    *(("view", one.name, "--json", "--since", "1h") for one in VIEWS if not one.needs_id),
    ("view", "story", "--id", "request-0"),
]
WRONG = [
    ("search", "http.respnse.status_code: 500"),
    ("top", "http.rout"),
    ("count", "a: ("),
    ("search", "event.duration: long"),
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    state = tmp_path_factory.mktemp("both")
    one = Up(state)
    requests_of_a_shop(one.put)
    yield str(state / "store"), one.http
    one.close()


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_both_answer_alike(both: tuple[str, str], tmp_path: Path, words: tuple[str, ...]) -> None:
    near, far = (invoke(tmp_path, *words, "--source", source) for source in both)
    assert (near.returncode, near.stdout) == (far.returncode, far.stdout)
    assert bool(near.stdout) == (near.returncode != 1 or words[0] == "verify")


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_both_refuse_alike(both: tuple[str, str], tmp_path: Path, words: tuple[str, ...]) -> None:
    near, far = (invoke(tmp_path, *words, "--source", source) for source in both)
    assert (near.returncode, near.stdout, near.stderr) == (2, "", far.stderr)
    assert far.returncode == 2
