"""Times as commands read and show them: in the local time zone, or in UTC with --utc."""

import sys
import time
from datetime import UTC, datetime, tzinfo
from typing import Any

import click

from logship.search.times import from_rfc3339
from logship.search.zone import LocalZone

IN_UTC = "logship.utc"


def zone() -> tzinfo:
    """Return the time zone of typed and shown times."""
    context = click.get_current_context(silent=True)
    return UTC if context is not None and context.find_root().meta.get(IN_UTC) else LocalZone()


def zone_name(ns: int | None = None) -> str:
    """Return "UTC", or the name of the local zone with its offset, "CET +01:00", at a moment (default: now)."""
    when = datetime.fromtimestamp(time.time() if ns is None else ns / 1e9, zone())
    offset = f"{when:%z}"
    name = when.tzname() or ""
    return name if name in ("UTC", "GMT") else f"{name if name.isalpha() else ''} {offset[:3]}:{offset[3:5]}".strip()


def moment(value: Any, *, dated: bool = True) -> str:
    """Return a time (ns or RFC 3339) in the zone of the command, to the millisecond."""
    ns = _ns(value)
    when = datetime.fromtimestamp(ns // 10**9, zone())
    clock = f"{when:%H:%M:%S}.{ns % 10**9 // 10**6:03d}"
    return f"{when:%Y-%m-%d} {clock}" if dated else clock


def moment_cell(value: Any) -> str:
    """Return a time for a table: on a terminal without today's date, in a pipe with its offset from UTC."""
    ns = _ns(value)
    when = datetime.fromtimestamp(ns // 10**9, zone())
    if not sys.stdout.isatty():
        return f"{moment(ns)}{when:%z}"
    return moment(ns, dated=when.date() != datetime.now(when.tzinfo).date())


def _ns(value: Any) -> int:
    return value if isinstance(value, int) else from_rfc3339(str(value))
