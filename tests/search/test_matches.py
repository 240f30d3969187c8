"""What a question means, word by word: the predicate that SQL is held to."""

from typing import Any

import pytest

from logship.errors import KqlError
from logship.event.fields import BY_NAME
from logship.search.kql import parse
from logship.search.matches import matches
from logship.search.names import nearest
from logship.search.targets import BARE_TEXT_FIELDS
from logship.search.times import from_rfc3339

RECORD: dict[str, Any] = {
    "@timestamp": "2026-11-20T10:00:00.500000000Z",
    "message": "GET /orders/17 500 Timed out after 5.0s",
    "error.type": "shop.TimeoutError",
    "error.message": "upstream timed_out; Größe 3",
    "http.request.method": "GET",
    "http.request.id": "req-1",
    "http.response.status_code": 500,
    "event.duration": 1_500_000_000,
    "url.path": "/orders/17",
    "http.route": "/orders/{id}",
    "tags": ["slow", "cut"],
    "logship.journal.durable": True,
    "labels": {"tenant": "acme", "user.plan": "gold", "retry": "3", "vip": "true"},
    "numeric_labels": {"order_id": 17.0, "ratio": 0.25, "retry": 4.0},
}
NOW = from_rfc3339("2026-11-20T10:10:00Z")

HOLDS = """
http.response.status_code: 500
http.response.status_code: "500"
http.response.status_code: 500.0
http.response.status_code: 5e2
http.response.status_code >= 500
http.response.status_code > 499.5
http.response.status_code < 500.5
http.response.status_code <= 1e99
http.response.status_code: (404 or 500)
http.response.status_code: *
not http.response.status_code: 200
http.request.method: GET
http.request.method: "GET"
http.request.method: G*
http.request.method: *E*
http.request.method >= GA
url.path: /orders/17
url.path: /orders/*
url.path: *17
url.path: /o*s/1*
http.route: "/orders/{id}"
message: timed
message: TIMED
message: nonsense timed
message: "timed out"
message: "TIMED OUT after 5.0s"
message: "get orders 17"
message: time*
message: *med
message: (timed and out)
error.message: timed_out
error.message: größe
error.type: shop.TimeoutError
error.type: *Error
timed
"timed out"
"shop.TimeoutError"
req-1
/orders/17
tags: slow
tags: (slow and cut)
tags: s*
tags: *
logship.journal.durable: true
labels.tenant: acme
tenant: acme
tenant: a*e
tenant: *
user.plan: gold
labels.user.plan: gold
labels.*: gold
labels: gold
labels.t*: acme
*: acme
vip: true
order_id: 17
order_id >= 17
order_id < 17.5
order_id: *
numeric_labels.order_id: 17
ratio: 0.25
retry: 3
retry: 4
retry > 3
tenant > abc
error.*: upstream
http.re*: GET
*:*
@timestamp: 2026-11-20
@timestamp: "2026-11-20T10:00:00Z"
@timestamp >= now-15m
@timestamp > "2026-11-20T09:59:59Z"
@timestamp <= "2026-11-20T10:00:00Z"
@timestamp < now/d+1d
@timestamp >= "2026-11-20T10:00:00.5Z"
""".strip().splitlines()

HOLDS_NOT = """
http.response.status_code: 501
http.response.status_code: 500.5
http.response.status_code > 500
http.response.status_code < 500
http.response.status_code <= 499.5
not http.response.status_code: *
http.request.method: et
http.request.method: GE
http.request.method: e*
url.path: /orders
url.path: "/orders/*"
message: time
message: "out timed"
message: "imed out"
message: "time*"
error.message: timed
error.type: TimeoutError
TimeoutErr
req
tags: slo
tags: (slow and not cut)
event.outcome: *
logship.journal.durable: false
tenant: ACME
labels.tenant: gold
nothing: *
nothing: x
order_id: 18
order_id > 17
order_id: seventeen
retry < 4
labels.x*: acme
@timestamp: 2026-11-19
@timestamp < now-15m
@timestamp > "2026-11-20T10:00:00Z"
@timestamp > now
""".strip().splitlines()


@pytest.mark.parametrize("text", HOLDS)
def test_it_holds(text: str) -> None:
    assert matches(parse(text), RECORD, NOW)
    assert not matches(parse(f"not ({text})"), RECORD, NOW)


@pytest.mark.parametrize("text", HOLDS_NOT)
def test_it_does_not_hold(text: str) -> None:
    assert not matches(parse(text), RECORD, NOW)
    assert matches(parse(f"not ({text})"), RECORD, NOW)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("http.response.status_code: abc", 27),
        ("http.response.status_code: 5*", 27),
        ("http.response.status_code >= x", 29),
        ("@timestamp: yesterday", 12),
        ("@timestamp > now-1q", 13),
        ("logship.journal.durable: maybe", 25),
    ],
)
def test_a_value_that_a_field_cannot_hold_is_refused_at_its_place(text: str, at: int) -> None:
    with pytest.raises(KqlError) as caught:
        matches(parse(text), RECORD, NOW)
    assert caught.value.at == at


def test_bare_text_is_looked_for_in_fields_that_exist() -> None:
    assert set(BARE_TEXT_FIELDS) <= BY_NAME.keys()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("http.response.statuscode", "http.response.status_code"),
        ("status_code", "http.response.status_code"),
        ("htp.route", "http.route"),
        ("worker.slot", "logship.worker.slot"),
        ("Status", "status"),
        ("duration_ms", "duration"),
        ("user-agent", "user_agent"),
        ("http.status_code", "http.response.status_code"),
        ("request.id", "http.request.id"),
        ("tennant", "tenant"),
        ("order_id", None),
    ],
)
def test_the_nearest_field_is_named(typed: str, meant: str | None) -> None:
    assert nearest(typed, ["labels.tenant"]) == meant
