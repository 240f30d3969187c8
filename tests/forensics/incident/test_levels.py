"""How the services of an incident changed as a whole."""

from random import Random

from logship.forensics.incident import incident, write_up
from logship.forensics.incident.levels import Level
from logship.search.times import rfc3339
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.compare.shop import SECOND, fill
from tests.forensics.incident.test_incident import CHANGED_NS, NOW_NS, WINDOW, Fields


def levels(source: Reader) -> dict[str, Level]:
    return {level.measure: level for level in incident(source, WINDOW, NOW_NS).levels}


def test_failures_change_and_the_other_measures_do_not(store: Store, source: Reader) -> None:
    fill(store, lambda _fields, pick: {"http.response.status_code": 500} if pick.random() < 0.2 else {}, requests=6000)
    changed = levels(source)
    failed = changed["failed requests"]
    assert failed.after is not None
    assert failed.began is not None
    assert failed.before < 0.05 < 0.15 < failed.after < 0.25
    assert failed.began[0] - 10 * SECOND <= CHANGED_NS <= failed.began[1] + 10 * SECOND
    assert {name for name, level in changed.items() if level.after is None} == {"requests per second", "p99"}


def test_p99_changes_with_slow_requests(store: Store, source: Reader) -> None:
    def change(fields: Fields, _pick: Random) -> Fields:
        return {"event.duration": int(str(fields["event.duration"])) * 5}

    fill(store, change, requests=6000)
    slow = levels(source)["p99"]
    assert slow.after is not None
    assert 3 < slow.after / slow.before < 8


def test_nothing_is_said_of_levels_in_a_quiet_hour(store: Store, source: Reader) -> None:
    fill(store, lambda _fields, _pick: {}, requests=6000)
    assert levels(source) == {}


def test_levels_are_written_as_a_line_per_service(store: Store, source: Reader) -> None:
    fill(store, lambda _fields, pick: {"http.response.status_code": 500} if pick.random() < 0.2 else {}, requests=6000)
    report = incident(source, WINDOW, NOW_NS)
    (line,) = write_up.level_lines(report, rfc3339)
    assert line.startswith("shop: requests per second ")
    assert ", unchanged; failed requests " in line
    assert line in write_up.lines(report, rfc3339)
    assert "failed requests" in write_up.html(report, rfc3339)
