"""`logship fields` lists the fields that occur."""

from pathlib import Path

from tests.cli.conftest import Kept, Logship, Up
from tests.cli.helpers import lines


def test_fields_lists_what_occurs(kept: Kept, logship: Logship) -> None:
    kept.put(1, labels={"tenant": "a"})
    kept.put(2)
    told = {line[0]: line[1:] for line in lines(logship("fields", "--source", kept.at).stdout)}
    assert told["labels.tenant"] == ["keyword", "1", "Set by the application.", ""]
    assert told["message"] == ["text", "2", "The event in one line.", ""]
    assert [line[0] for line in lines(logship("fields", "TENANT", "--source", kept.at).stdout)] == ["labels.tenant"]
    assert logship("fields", "nowhere", "--source", kept.at).returncode == 1


def test_fields_of_a_service_are_those_of_its_events(up: Up, tmp_path: Path, logship: Logship) -> None:
    up.put(1, **{"service.name": "shop", "labels": {"basket": "7"}})
    up.put(2, **{"service.name": "billing", "labels": {"invoice": "9"}})
    for source in (up.http, str(tmp_path / "store")):
        names = {line[0] for line in lines(logship("fields", "--service", "shop", "--source", source).stdout)}
        assert ("labels.basket" in names, "labels.invoice" in names) == (True, False)
        nothing = logship("fields", "--service", "shpo", "--source", source)
        assert (nothing.returncode, "there are no events of service 'shpo'" in nothing.stderr) == (1, True)
