"""Fluent Bit: its version, its forward input, and outputs that gave up; as its HTTP server reports them."""

import http.client
from collections.abc import Iterator
from typing import TypeAlias

import orjson

from logship.doctor.check import Check
from logship.errors import SettingsError
from logship.settings import Settings
from logship.wire.address import has_address, parse_address

HTTP_PORT = 2020
WHAT = "Fluent Bit"
Metrics: TypeAlias = dict[str, dict[str, dict[str, float]]]


def checks(settings: Settings) -> Iterator[Check]:
    """Yield nothing if no Fluent Bit with an HTTP server runs on the agent's host."""
    host = _host(settings.agent)
    reports = _reports(host) if host else None
    if reports is None or "fluent-bit" not in reports[0]:
        return
    about, metrics = reports
    yield Check("good", WHAT, f"version {about['fluent-bit'].get('version', '?')} on {host}:{HTTP_PORT}")
    if not any(name.startswith("forward") for name in metrics.get("input", {})):
        yield Check("wrong", WHAT, "it has no forward input", "add one, see docs/fluent-bit.md")
    for name, counters in metrics.get("output", {}).items():
        failed, dropped = counters.get("retries_failed", 0), counters.get("dropped_records", 0)
        if failed or dropped:
            problem = f"output {name} could not deliver {failed:,.0f} chunks and dropped {dropped:,.0f} records"
            yield Check("wrong", WHAT, problem, "set retry_limit no_limits and storage.type filesystem")


def _host(agent: str) -> str:
    """The host of an agent with a network address, else empty."""
    if not has_address(agent):
        return ""
    try:
        address = parse_address(agent)
    except SettingsError:
        return ""
    return "" if address.unix else address.host or "127.0.0.1"


def _reports(host: str) -> tuple[Metrics, Metrics] | None:
    """What Fluent Bit reports about itself, and its metrics; None if no HTTP server responds."""
    connection = http.client.HTTPConnection(host, HTTP_PORT, timeout=1.0)

    def get(path: str) -> Metrics:
        connection.request("GET", path)
        body = orjson.loads(connection.getresponse().read())
        return body if isinstance(body, dict) else {}

    try:
        return get("/"), get("/api/v1/metrics")
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
