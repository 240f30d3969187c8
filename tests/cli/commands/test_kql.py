"""`logship kql` prints queries in full."""

from tests.cli.conftest import Kept, Logship
from tests.cli.helpers import lines


def test_short_names_and_values_work_and_are_printed_in_full(kept: Kept, logship: Logship) -> None:
    kept.put(1, **{"http.response.status_code": 503, "event.duration": 200_000_000, "labels": {"tenant": "acme"}})
    kept.put(2, **{"http.response.status_code": 200, "event.duration": 20_000_000, "log.level": "error"})
    asked = ("--source", kept.at)
    assert lines(logship("count", "status: 5xx and duration > 100ms", *asked).stdout) == [["1"]]
    assert lines(logship("top", "status", *asked).stdout) == [["200", "1", "50.0%"], ["503", "1", "50.0%"]]
    assert "level" in logship("fields", "level", *asked).stdout.split("\n")[0].split("\t")
    told = logship("kql", "status: 5xx and tenant: acme or level: ERROR", *asked)
    assert told.stdout.strip() == (
        "http.response.status_code >= 500 and http.response.status_code < 600 and labels.tenant: acme"
        " or log.level: error or log.level: ERROR"
    )
    told = logship("kql", "status: 500 and tenant: acme", LOGSHIP_SOURCE="http://127.0.0.1:1")
    assert told.stdout.strip() == "http.response.status_code: 500 and labels.tenant: acme"
    assert "the labels are not known" in told.stderr
