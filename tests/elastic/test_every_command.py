"""Every command answers from the real Elasticsearch what it answers from a store with the same events."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest

from logship.elastic import mapping
from logship.elastic.client import connect
from logship.elastic.replay import from_source, replay
from logship.elastic.source import ElasticSource
from logship.page.app import app
from logship.search.query import Query, Source
from logship.store.read.reader import Reader
from tests.cli.conftest import Kept, Told, invoke, requests_of_a_shop
from tests.cli.test_sources import QUESTIONS, WRONG
from tests.conftest import PROVE
from tests.elastic import server
from tests.elastic.node import Server
from tests.elastic.test_setup import told

# The first test that asks for Elasticsearch starts it, beside others on the same cores.
pytestmark = pytest.mark.timeout(300)


# One question of each command, and all of them in `make prove`.
ASKED = QUESTIONS if PROVE else list({words[0]: words for words in QUESTIONS}.values())


class Both:
    """A store's directory, and the environment in which the same events are in Elasticsearch."""

    def __init__(self, elastic: Server, where: Path) -> None:
        self.where = where
        kept = Kept(where / "store")
        requests_of_a_shop(kept.put)
        kept.store.close()
        self.settings = settings = told(elastic, server.new_namespace())
        reader = Reader(where / "store")
        with connect(settings) as client:
            records = from_source(reader, Query())
            created = sum(done.created for done in replay(client, settings, records, where / "dead"))
        reader.close()
        assert elastic.count(mapping.stream(settings.elastic_namespace)) == created > 0
        names = ("url", "user", "password", "ca_file", "namespace")
        values = {name: str(getattr(settings, f"elastic_{name}")) for name in names}
        self.around = {f"LOGSHIP_ELASTIC_{name.upper()}": value for name, value in values.items() if value}

    def ask(self, words: tuple[str, ...]) -> tuple[Told, Told]:
        """The answers of the store and of Elasticsearch."""
        near = invoke(self.where, *words, "--source", str(self.where / "store"))
        return near, invoke(self.where, *words, "--source", "elastic", **self.around)


@pytest.fixture(scope="module")
def both(elastic: Server, tmp_path_factory: pytest.TempPathFactory) -> Both:
    return Both(elastic, tmp_path_factory.mktemp("every"))


@pytest.mark.parametrize("words", ASKED, ids=" ".join)
def test_elasticsearch_answers_as_the_store(both: Both, words: tuple[str, ...]) -> None:
    near, far = both.ask(words)
    assert (far.returncode, without_integrity(far.stdout)) == (near.returncode, without_integrity(near.stdout)), far.stderr


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_elasticsearch_refuses_as_the_store(both: Both, words: tuple[str, ...]) -> None:
    near, far = both.ask(words)
    assert (far.returncode, far.stdout, far.stderr) == (2, "", near.stderr)


def without_integrity(text: str) -> str:
    """The text without what is known of the files of a store, which Elasticsearch does not have."""
    return re.sub(r'"integrity":\{[^{}]*\}', '"integrity":{}', text)


PATHS = [
    "/api/search?q=http.response.status_code:500&limit=3",
    "/api/count",
    "/api/tally?by=service.node.name&every_ns=3600000000000",
    "/api/top?field=http.route",
    "/api/stats?field=event.duration&by=service.node.name",
    "/api/context?id=request-1",
    "/api/events/request-2",
    "/api/incarnations",
    "/api/verify",
    "/api/fields",
    "/api/oldest",
    "/api/export",
    "/api/search?q=http.respnse.status_code:500",
    "/api/events/nobody",
]


async def got(source: Source, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app(source)), base_url="http://localhost") as client:
        return await client.get(path)


@pytest.mark.parametrize("path", PATHS)
def test_the_page_serves_elasticsearch_as_it_serves_a_store(both: Both, path: str) -> None:
    reader, source = Reader(both.where / "store"), ElasticSource(both.settings)
    near, far = (asyncio.run(got(one, path)) for one in (reader, source))
    reader.close()
    source.close()
    assert (near.status_code == 200) == ("respnse" not in path and "nobody" not in path), near.text
    if near.headers["content-type"] == "application/json" and "next" in near.json():
        # A key to the next page is the source's own.
        assert near.json() | {"next": far.json()["next"]} == far.json()
    else:
        assert (far.status_code, without_integrity(far.text)) == (near.status_code, without_integrity(near.text))
        if path == "/api/verify":
            assert (near.json()["integrity"]["finding"], far.json()["integrity"]["finding"]) == ("consistent", "unknown")
