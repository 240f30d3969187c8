"""Whatever comes through the door can be found again."""

import math
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.search.targets import KIND_OF
from logship.store.schema import LINE_LIMIT_BYTES, connect, relation
from logship.store.write.dead_letters import dead_letter
from logship.store.write.normalizer import Normalizer, Unstorable
from tests.store.events import BEGIN_NS


def through(record: dict[str, Any]) -> dict[str, Any]:
    line = orjson.loads(Normalizer().line(7, BEGIN_NS, record))
    assert line.pop("_n") == 7
    assert line.pop("@timestamp") == "2026-11-20T10:00:00.000000000Z"
    return dict(line)


def test_values_of_the_right_type_keep_their_place() -> None:
    record = {
        "message": "hello", "http.response.status_code": 200, "tags": ["a", "b"], "logship.journal.durable": True,
        "event.start": "2026-11-20T10:00:00.5Z", "labels": {"tenant": "acme"}, "numeric_labels": {"n": 1.5},
    }  # fmt: skip
    assert through(record) == record


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"http.response.status_code": "200"}, {"labels": {"http.response.status_code": "200"}}),
        ({"http.response.status_code": 200.0}, {"labels": {"http.response.status_code": "200.0"}}),
        ({"http.response.status_code": True}, {"labels": {"http.response.status_code": "true"}}),
        ({"event.duration": 2**63}, {"labels": {"event.duration": "9223372036854775808"}}),
        ({"event.duration": 2**70}, {"labels": {"event.duration": str(2**70)}}),
        ({"url.path": 17}, {"labels": {"url.path": "17"}}),
        ({"url.path": ["a", 1]}, {"labels": {"url.path": '["a",1]'}}),
        ({"logship.journal.durable": "yes"}, {"labels": {"logship.journal.durable": "yes"}}),
        ({"event.start": "yesterday"}, {"labels": {"event.start": "yesterday"}}),
        ({"event.start": "2026-99-99T10:00:00Z"}, {"labels": {"event.start": "2026-99-99T10:00:00Z"}}),
        ({"event.start": "0001-01-01T10:00:00Z"}, {"labels": {"event.start": "0001-01-01T10:00:00Z"}}),
        ({"event.start": BEGIN_NS}, {"event.start": "2026-11-20T10:00:00.000000000Z"}),
        ({"tags": "slow"}, {"tags": ["slow"]}),
        ({"tags": ["slow", 1, None]}, {"tags": ["slow", "1"]}),
        ({"order": "x"}, {"labels": {"order": "x"}}),
        ({"order": 7}, {"numeric_labels": {"order": 7.0}}),
        ({"order": 2**60 + 1}, {"labels": {"order": str(2**60 + 1)}}),
        ({"order": math.nan}, {"labels": {"order": "null"}}),
        ({"order": True}, {"labels": {"order": "true"}}),
        ({"order": b"raw\xff"}, {"labels": {"order": "raw\ufffd"}}),
        ({"order": None, "tags": None, "message": None}, {}),
        ({"http": {"request.body.bytes": 5}, "http.request.body.bytes": 7},
         {"http.request.body.bytes": 7, "labels": {"http.request.body.bytes": "5"}}),
        ({7: "seven"}, {"labels": {"7": "seven"}}),
        ({"http": {"request": {"method": "GET"}}}, {"http.request.method": "GET"}),
        ({"a": {"b": {"c": 1}, "d": "e"}}, {"numeric_labels": {"a.b.c": 1.0}, "labels": {"a.d": "e"}}),
        ({"a": {}}, {"labels": {"a": "{}"}}),
        ({"log": "one line\r\n", "source": "stdout"}, {"message": "one line", "labels": {"source": "stdout"}}),
        ({"msg": "one", "log": {"level": "info"}}, {"message": "one", "log.level": "info"}),
        ({"message": "one", "msg": "two"}, {"message": "one", "labels": {"msg": "two"}}),
        ({"log": "", "msg": 7}, {"labels": {"log": ""}, "numeric_labels": {"msg": 7.0}}),
        ({"logship": {"conflict": "0" * 16}}, {}),
        ({"labels": {"a": {"b": "c", "n": 1}}}, {"labels": {"a.b": "c"}, "numeric_labels": {"a.n": 1.0}}),
        ({"labels": {"n": 1, "b": False, "x": None}}, {"labels": {"n": "1", "b": "false"}}),
        ({"numeric_labels": {"n": 1, "s": "x"}}, {"numeric_labels": {"n": 1.0}, "labels": {"s": "x"}}),
        ({"labels": "no map"}, {"labels": {"labels": "no map"}}),
        ({"order": "x", "labels": {"order": "y"}}, {"labels": {"order": "x", "order_": "y"}}),
        ({"http.request.method": "GET", "http": {"request.method": "PUT"}},
         {"http.request.method": "GET", "labels": {"http.request.method": "PUT"}}),
        ({"_n": 99, "@timestamp": "other"}, {"numeric_labels": {"_n": 99.0}}),
        ({"message": "lone \ud800"}, {"message": "lone ?"}),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_kept_as_a_label(given: dict[str, Any], kept: dict[str, Any]) -> None:
    assert through(given) == kept


anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(st.text(), st.integers()), inner, max_size=3)
    ),
    max_leaves=5,
)
keys = st.one_of(st.sampled_from((*KIND_OF, "labels", "numeric_labels")), st.text(max_size=5))


@given(st.dictionaries(keys, anything, max_size=6))
def test_any_record_becomes_a_row_of_which_nothing_is_null_in_silence(record: dict[Any, Any]) -> None:
    line = Normalizer().line(0, BEGIN_NS, record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    held = {name: value for name, value in orjson.loads(line).items() if name not in ("_n", "@timestamp")}
    for name, value in held.items():
        assert value is not None
        assert name in KIND_OF or name in ("labels", "numeric_labels")


def test_duckdb_reads_back_what_the_door_wrote(tmp_path: Path) -> None:
    database = connect(256 * 2**20, 1)
    log = tmp_path / "log.ndjson"
    door = Normalizer()
    names = sorted(KIND_OF.keys() - {"@timestamp"})
    samples: dict[str, Any] = {
        "ip": "2001:db8::1",
        "integer": 2**63 - 1, "number": 0.1, "boolean": True, "list": ["a", "\u2028"], "date": "2026-11-20T10:00:00.123456789Z",
    }  # fmt: skip
    record = {name: samples.get(KIND_OF[name], 'quote " \\ \n \x00 ü') for name in names}
    log.write_bytes(door.line(0, BEGIN_NS, record) * 2)
    columns = ", ".join(f'count("{name}")' for name in names)
    found = database.execute(f"SELECT {columns} FROM ({relation([], [log])})").fetchall()
    database.close()
    assert found == [(2,) * len(names)]


@pytest.mark.parametrize(
    ("time_ns", "record", "reason"),
    [
        (BEGIN_NS, ["no map"], "a list"),
        (-(2**62) * 4, {}, "not between"),
        (2**63, {}, "not between"),
        (BEGIN_NS, {"message": "x" * LINE_LIMIT_BYTES}, "limit"),
    ],
)
def test_what_fits_nowhere_is_refused_with_the_reason(time_ns: int, record: Any, reason: str) -> None:
    with pytest.raises(Unstorable, match=reason):
        Normalizer().line(0, time_ns, record)
    letter = orjson.loads(dead_letter(time_ns, record, reason))
    assert letter == {"@timestamp": str(time_ns), "reason": reason, "record": repr(record)}


def test_a_second_that_was_seen_before_is_written_alike() -> None:
    door = Normalizer()
    stamps = [
        orjson.loads(door.line(0, BEGIN_NS + ns, {}))["@timestamp"] for ns in (0, 999_999_999, 10**9, 1, -1, -(10**9))
    ]
    assert [stamp[11:] for stamp in stamps] == [
        "10:00:00.000000000Z", "10:00:00.999999999Z", "10:00:01.000000000Z",
        "10:00:00.000000001Z", "09:59:59.999999999Z", "09:59:59.000000000Z",
    ]  # fmt: skip


def test_stores_of_several_threads_make_the_lines_that_one_makes() -> None:
    records = [
        {"event.start": f"2026-11-20T10:{n % 60:02d}:00.{n:09d}Z", "client.ip": f"10.{n % 7}.0.{n % 250}", "tags": ["a"]}
        for n in range(2_000)
    ]
    wanted = [Normalizer().line(n, BEGIN_NS, record) for n, record in enumerate(records)]
    made: list[list[bytes]] = []

    def make() -> None:
        door = Normalizer()
        made.append([door.line(n, BEGIN_NS, record) for n, record in enumerate(records)])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [wanted] * 4
