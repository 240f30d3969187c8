"""Dashboards for Kibana: waited for, imported over what is there, looked for afterwards. Kibana is a stand-in."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.elastic import client, steps
from logship.elastic.access import Step
from logship.elastic.client import Kibana, objects_of
from logship.errors import ElasticError, SettingsError
from logship.settings import Settings, load
from tests.elastic import kibana as stand_in
from tests.proofs.scene import free_port

FILE = Path(__file__).parents[2] / "kibana/logship.ndjson"
LINES = FILE.read_bytes()


@pytest.fixture
def there() -> Iterator[stand_in.Kibana]:
    """A Kibana with nothing in it."""
    with stand_in.running() as kibana:
        yield kibana


def told(url: str, **more: str) -> Settings:
    return load({"kibana_url": url, **more}, {"HOME": "/home/ada"})


def step(settings: Settings, file: Path = FILE) -> Step:
    return steps.kibana_step(settings, file, Kibana(settings, sleep=lambda _: None))


def test_everything_is_imported_once_and_found_again(there: stand_in.Kibana) -> None:
    first = step(told(there.url))
    assert first.change == "create"
    assert there.objects == {}
    first.do()
    assert sorted(there.objects) == sorted(objects_of(LINES))
    assert there.default == steps.DATA_VIEW
    assert f"index-pattern/{steps.DATA_VIEW}" in there.objects
    assert step(told(there.url)).change == "keep"


def test_what_somebody_changed_is_said_and_put_back_and_his_default_stays(there: stand_in.Kibana) -> None:
    there.default = "theirs"
    step(told(there.url)).do()
    name = next(name for name in there.objects if name.startswith("dashboard/"))
    there.objects[name]["attributes"]["title"] = "mine"
    again = step(told(there.url))
    assert (again.change, again.sentence.partition(" differ")[0]) == ("change", f"1 of {len(objects_of(LINES))}")
    again.do()
    assert there.objects[name]["attributes"]["title"] != "mine"
    assert there.default == "theirs"


def test_one_that_is_not_ready_yet_is_waited_for(there: stand_in.Kibana) -> None:
    there.waits = 5
    assert step(told(there.url)).change == "create"
    assert there.asked.count("GET /api/status") == 6


def test_one_that_does_not_get_ready_is_given_up_before_anything_is_done(there: stand_in.Kibana) -> None:
    there.waits = 10**6
    with pytest.raises(ElasticError, match=r"is not ready after 0 s: (critical|status 503)\. Nothing was imported"):
        Kibana(told(there.url), sleep=lambda _: None).wait(0)
    nobody = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ElasticError, match=r"is not ready after 0 s: .*cannot be reached at .*Connection refused"):
        Kibana(told(nobody), sleep=lambda _: None).wait(0)
    assert set(there.asked) == {"GET /api/status"}


@pytest.mark.parametrize(("version", "fine"), [("8.16.2", False), ("8.17.0", True), ("9.4.1", True), ("10.0.0", False)])
def test_a_version_that_nobody_tried_is_refused(there: stand_in.Kibana, version: str, fine: bool) -> None:
    there.version = version
    if fine:
        assert Kibana(told(there.url)).wait() == version
    else:
        with pytest.raises(ElasticError, match=f"is {version}; logship's dashboards are made for 8.17 to 9.x"):
            step(told(there.url))


def test_one_that_tells_no_version_is_believed(there: stand_in.Kibana) -> None:
    there.version = None
    assert Kibana(told(there.url)).wait() == ""


@pytest.mark.parametrize(
    ("who", "sentence"),
    [
        ({}, r"does not allow .* without a user \(set LOGSHIP_ELASTIC_USER\)"),
        ({"elastic_user": "ada", "elastic_password": "wrong"}, "does not allow .* as user 'ada'"),
        ({"elastic_api_key": "c3Ryb25n"}, "does not allow .* with this API key"),
    ],
)
def test_who_may_not_is_told_so(there: stand_in.Kibana, who: dict[str, str], sentence: str) -> None:
    there.users = {"Basic YWRhOmxvdmVsYWNl": 200, "ApiKey c3Ryb25n": 403}
    with pytest.raises(ElasticError, match=sentence) as caught:
        step(told(there.url, **who))
    assert "wrong" not in str(caught.value)
    assert "c3Ryb25n" not in str(caught.value)
    assert step(told(there.url, elastic_user="ada", elastic_password="lovelace")).change == "create"


def test_an_object_that_is_not_taken_is_named(there: stand_in.Kibana) -> None:
    there.refuses = "logship-dash-workers"
    with pytest.raises(ElasticError, match=r"imported only 0 of .* dashboard logship-dash-workers: missing_references"):
        step(told(there.url)).do()


def test_yes_is_not_believed_without_looking(there: stand_in.Kibana) -> None:
    there.forgets = "logship-dash-workers"
    with pytest.raises(ElasticError, match="reported success, but has 0 of"):
        step(told(there.url)).do()


def test_what_is_not_kibana_is_said_to_be_none(there: stand_in.Kibana, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(there, "answer", lambda *_: (200, "<html>hello</html>"))
    with pytest.raises(ElasticError, match=r"\(status 200\) is not Kibana: check LOGSHIP_KIBANA_URL"):
        step(told(there.url))
    with pytest.raises(SettingsError, match="kibana_url takes http://HOST:PORT"):
        step(told("localhost:5601"))


def test_a_file_that_is_not_there_is_asked_for_before_anybody_is(there: stand_in.Kibana, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="they come with logship; name your copy with --dashboards"):
        step(told(there.url), tmp_path / "none.ndjson")
    (tmp_path / "bad.ndjson").write_text("{")
    with pytest.raises(SettingsError, match="is not a Kibana export"):
        step(told(there.url), tmp_path / "bad.ndjson")
    assert there.asked == []


def test_our_data_view_is_in_the_file() -> None:
    views = [json.loads(line) for line in LINES.splitlines() if b'"index-pattern"' in line]
    assert steps.DATA_VIEW in {one["id"] for one in views if one.get("type") == "index-pattern"}
    assert client.KIBANA_POLL_SECONDS < client.KIBANA_SECONDS
