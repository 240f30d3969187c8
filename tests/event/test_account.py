"""The account of a request as bytes: it decodes to fields of the table, whatever the client sent."""

import asyncio

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.event import account, build, entry
from logship.event.fields import BY_NAME
from logship.event.redact import Redactor

REDACTOR = Redactor()


def decoded(*parts: bytes, count: int) -> dict[str, object]:
    found = ormsgpack.unpackb(b"\xde" + count.to_bytes(2, "big") + b"".join(parts))
    assert isinstance(found, dict)
    return found


def test_the_parts_of_a_request_make_one_map_of_known_fields() -> None:
    head = account.pack_head("GET", "/orders/{id}", 503, b"application/json; charset=utf-8", "server_error", True)
    who, who_count = account.pack_client(REDACTOR, "on", b"curl/8", b"shop.example:8000", "192.0.2.1", "1.1", "http")
    path = account.pack_path(REDACTOR, "/orders/7")
    fields = decoded(head.packed, who, path.packed, count=head.fields + who_count + 1)
    assert [name for name in fields if name not in BY_NAME] == []
    assert fields["event.outcome"] == "failure"
    assert fields["http.response.mime_type"] == "application/json"
    assert (fields["url.domain"], fields["url.path"], fields["tags"]) == ("shop.example", "/orders/7", ["slow"])
    assert {*account.NUMBERS, *account.WIDTHS} <= set(BY_NAME)


@pytest.mark.parametrize(
    ("reason", "status", "outcome"),
    [
        ("complete", 200, "success"),
        ("complete", 404, "success"),
        ("complete", 500, "failure"),
        ("server_error", 200, "failure"),
        ("cancelled", 0, "failure"),
        ("client_disconnected", 200, "unknown"),
        ("background_failed", 200, "success"),
        ("background_cancelled", 200, "success"),
    ],
)
def test_how_a_request_ended_decides_its_outcome(reason: str, status: int, outcome: str) -> None:
    head = account.pack_head("GET", None, status, b"", reason, False)
    fields = decoded(head.packed, count=head.fields)
    assert fields["event.outcome"] == outcome
    assert fields.get("http.response.status_code", 0) == status


@given(st.text(), st.binary(max_size=600), st.binary(max_size=300))
def test_any_path_agent_and_host_can_be_packed(path: str, agent: bytes, host: bytes) -> None:
    packed = account.pack_path(REDACTOR, path)
    assert len(packed.shown) <= account.PATH_BYTES
    packed.shown.decode()
    assert "url.path" in decoded(packed.packed, count=1)
    who, count = account.pack_client(REDACTOR, "on", agent, host, "not an address", "1.1", "http")
    assert "client.ip" not in decoded(who, count=count)


def test_a_trace_is_continued_only_if_its_header_is_valid() -> None:
    trace, span = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"
    assert account.trace_of(b"00-" + trace + b"-" + span + b"-01") == (trace, span)
    assert account.trace_of(b"42-" + trace + b"-" + span + b"-01-more") == (trace, span), (
        "a later version may add to it"
    )
    assert account.trace_of(b"00-" + trace + b"-" + span + b"-01-more") is None, "version 00 has four parts"
    assert account.trace_of(b"42-" + trace + b"-" + span + b"-01more") is None
    for wrong in (b"", b"00", b"ff-" + trace + b"-" + span + b"-01", b"00-" + b"0" * 32 + b"-" + span + b"-01"):
        assert account.trace_of(wrong) is None
    assert account.trace_of(b"00-" + trace.upper() + b"-" + span + b"-01") is None
    assert account.trace_of(b"00-" + trace + b"-" + b"0" * 16 + b"-01") is None


@pytest.mark.parametrize("header", [b"", b"x" * 65, b"a b", b"line\nbreak", "ü".encode(), b"AKIAIOSFODNN7EXAMPLE"])
def test_a_request_id_that_is_long_odd_or_a_secret_is_not_taken_over(header: bytes) -> None:
    assert account.request_id_of(header, REDACTOR) is None


def test_a_plain_request_id_is_taken_over() -> None:
    assert account.request_id_of(b"0195-ab.cd", REDACTOR) == b"0195-ab.cd"


def test_only_query_values_allowed_by_name_are_kept() -> None:
    query = b"page=2&token=private&page=3&q=words"
    assert account.allowed_query(query, {"page": None}, REDACTOR) == "page=2&page=3"
    assert account.allowed_query(query, {"other": None}, REDACTOR) == ""


def test_a_whole_entry_can_be_made_without_a_journal() -> None:
    record = entry.whole(1_763_650_000_000_000_001, {"message": "over"}, "ab" * 12, 8)
    time, fields = ormsgpack.unpackb(record, ext_hook=lambda tag, data: (tag, data))
    assert time == (0, (1_763_650_000).to_bytes(4, "big") + (1).to_bytes(4, "big"))
    assert fields == {"message": "over", "event.sequence": 8, "event.id": "ab" * 12 + "-000000000008"}


def test_the_second_of_a_time_is_right_after_many_others() -> None:
    for seconds in (0, 1_763_650_000, 1_763_650_001, 1_763_650_000):
        assert account.second_text(seconds).decode() == build.time_text(seconds * 10**9)[:20]


def test_a_method_of_any_length_takes_little_room() -> None:
    head = account.pack_head("X" * 60_000, None, 400, b"x" * 10_000, "complete", False)
    assert len(head.packed) + head.text_bytes < 1000
    assert decoded(head.packed, count=head.fields)["http.request.method"] == "X" * account.METHOD_CHARACTERS


class ClientDisconnect(Exception):
    pass


class Cancelled(BaseException):
    __module__ = "trio"


GONE, LATE, BROKEN = ClientDisconnect(), asyncio.CancelledError(), ValueError("no")


@pytest.mark.parametrize(
    ("failure", "status", "last", "answered", "reason"),
    [
        (GONE, 0, 0, None, ("client_disconnected", 0)),
        (ExceptionGroup("", [GONE]), 0, 0, None, ("client_disconnected", 0)),
        (BaseExceptionGroup("", [LATE, ExceptionGroup("", [GONE, GONE])]), 0, 0, None, ("client_disconnected", 0)),
        (ExceptionGroup("", [GONE, BROKEN]), 0, 0, None, ("server_error", 500)),
        (LATE, 0, 0, None, ("cancelled", 0)),
        (Cancelled(), 200, 0, None, ("cancelled", 200)),
        (BaseExceptionGroup("", [LATE, Cancelled()]), 0, 0, None, ("cancelled", 0)),
        (BROKEN, 0, 0, None, ("server_error", 500)),
        (BROKEN, 200, 0, None, ("server_error", 200)),
        (BROKEN, 500, 5, BROKEN, ("server_error", 500)),
        (BROKEN, 422, 5, BROKEN, ("server_error", 422)),
        (ExceptionGroup("", [BROKEN]), 422, 5, BROKEN, ("server_error", 422)),
        (BROKEN, 200, 5, None, ("background_failed", 200)),
        (BROKEN, 200, 5, GONE, ("background_failed", 200)),
        (LATE, 200, 5, None, ("background_cancelled", 200)),
        (BROKEN, 503, 5, None, ("server_error", 503)),
    ],
)
def test_the_reason_is_told_from_what_failed_and_when(
    failure: BaseException, status: int, last: int, answered: BaseException | None, reason: tuple[str, int]
) -> None:
    assert account.reason_of(failure, status, last, False, answered) == reason
