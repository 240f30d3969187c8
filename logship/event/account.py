"""The event of one request as bytes: values that repeat are packed once, new ones are written with few calls.

Beside the common pairs, a record has three kinds of pairs: `head` (constants, and what repeats by method, route and
response), those that repeat by client, and new ones. New numbers have eight bytes and ids have a fixed width, so that one
struct call writes them all. Dictionaries are bounded, because clients choose their keys.
"""

import re
import struct
from asyncio import CancelledError
from collections.abc import Mapping
from time import gmtime, strftime
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import ormsgpack

from logship.event import build, client, entry
from logship.event.cut import HEAD_MARGIN_CHARACTERS, redacted_head
from logship.event.redact import Redactor, suspicious

PATH_BYTES = 2048
METHOD_CHARACTERS = 32
QUERY_CHARACTERS = 1024
_QUERY_BYTES_READ = 8192
REQUEST_ID_CHARACTERS = 64

NUMBERS = (
    "event.duration",
    "http.request.body.bytes",
    "http.response.body.bytes",
    "client.port",
    "logship.ttfb_ns",
    "logship.background_ns",
)
WIDTHS = {"event.start": 30, "trace.id": 32, "span.id": 16, "transaction.id": 16}
NEW_FIELDS = len(NUMBERS) + len(WIDTHS) + 3  # and url.path, http.request.id, message


def _width(size: int) -> bytes:
    return bytes([0xA0 | size]) if size < 32 else bytes([0xD9, size])


NUMBER_KEYS = tuple(ormsgpack.packb(name) + b"\xcf" for name in NUMBERS)
TEXT_KEYS = tuple(ormsgpack.packb(name) + _width(size) for name, size in WIDTHS.items())
fixed = struct.Struct(
    ">"
    + "".join(f"{len(key)}sQ" for key in NUMBER_KEYS)
    + f"{len(TEXT_KEYS[0])}s20s10s"  # the time up to its second, and the rest of it
    + "".join(f"{len(key)}s{size}s" for key, size in list(zip(TEXT_KEYS, WIDTHS.values(), strict=True))[1:])
).pack
size16 = struct.Struct(">H").pack
PATH_KEY = ormsgpack.packb("url.path") + b"\xda"
REQUEST_ID_KEYS = tuple(
    ormsgpack.packb("http.request.id") + b"\xda" + size16(size) for size in range(REQUEST_ID_CHARACTERS + 1)
)
MESSAGE_KEY = ormsgpack.packb("message") + b"\xda"

# Version 00 has four parts; a later version may add to them.
_TRACEPARENT = re.compile(
    rb"(?:00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}|(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?)",
    re.DOTALL,
)
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:@/+=\-]{1,64}")


class Head(NamedTuple):
    """Packed pairs that repeat by method, route, status, media type, reason and slowness; and the parts of the message
    before (`begin`) and after (`answer`) the path, `text_bytes` together."""

    packed: bytes
    fields: int
    begin: bytes
    answer: bytes
    text_bytes: int


def pack_head(method: str, route: str | None, status: int, mime: bytes, reason: str, slow: bool) -> Head:
    """Return the pairs of a kind of response. `status` 0: no response was started."""
    method = method[:METHOD_CHARACTERS]
    failed = status >= 500 or reason in {"server_error", "cancelled"}
    fields: dict[str, object] = {
        "log.level": "error" if failed or reason == BACKGROUND_FAILED else "warning" if slow else "info",
        "log.logger": build.REQUEST,
        "event.dataset": build.REQUEST,
        "event.action": "http-request",
        "event.category": ["web"],
        "event.type": ["access", "error"] if failed else ["access"],
        "event.outcome": "failure" if failed else "unknown" if reason == "client_disconnected" else "success",
        "event.reason": reason,
        "http.request.method": method,
    }
    if route:
        fields["http.route"] = route
    if status:
        fields["http.response.status_code"] = status
    if mime:
        fields["http.response.mime_type"] = mime[:128].partition(b";")[0].strip().decode("latin-1")
    if slow:
        fields["tags"] = ["slow"]
    begin = method.encode("utf-8", "replace") + b" "
    answer = b" %d " % status if status else b" - "
    return Head(entry.pairs(fields), len(fields), begin, answer, len(begin) + len(answer))


def pack_client(
    redactor: Redactor, client_ip: str, agent: bytes, host: bytes, address: str, version: str, scheme: str
) -> tuple[bytes, int]:
    """Return the pairs that repeat by client, and their number. `client_ip`: on, truncated or off."""
    fields = {
        "user_agent.original": client.user_agent(agent, redactor) if agent else "",
        "url.domain": client.domain(host, redactor),
        "client.ip": client.shown_ip(address, client_ip),
        "http.version": version[:16],
        "url.scheme": scheme[:16],
        "network.protocol": "http",
    }
    kept = {name: value for name, value in fields.items() if value}
    return entry.pairs(kept), len(kept)


class Path(NamedTuple):
    """A redacted path: its bytes, the packed pair, and whether it is a probe path."""

    shown: bytes
    packed: bytes
    probe: bool


def pack_path(redactor: Redactor, path: str, probe: bool = False) -> Path:
    """Return `path` redacted and cut to 2,048 bytes, ready for a record."""
    shown = path[: PATH_BYTES + HEAD_MARGIN_CHARACTERS].encode("utf-8", "replace")
    if suspicious(shown):
        shown = redacted_head(path, PATH_BYTES, redactor.url).encode("utf-8", "replace")
    shown = shown[:PATH_BYTES].decode("utf-8", "ignore").encode()
    return Path(shown, PATH_KEY + size16(len(shown)) + shown, probe)


def trace_of(header: bytes) -> tuple[bytes, bytes] | None:
    """Return (trace id, parent span id) of a W3C `traceparent`; None if it is not valid. Source: W3C Trace Context 1."""
    match = _TRACEPARENT.fullmatch(header)
    if match is None:
        return None
    trace, span = match[1] or match[3], match[2] or match[4]
    return (trace, span) if trace.strip(b"0") and span.strip(b"0") else None


def request_id_of(header: bytes, redactor: Redactor) -> bytes | None:
    """Return the request id that a client sent; None if it is longer than 64 characters, not plain, or a secret."""
    if _REQUEST_ID.fullmatch(header) is None or (
        suspicious(header) and redactor.text(header.decode()).encode() != header
    ):
        return None
    return header


# The response was complete and the application failed afterwards: the request itself did not fail.
BACKGROUND_FAILED = "background_failed"
BACKGROUND_CANCELLED = "background_cancelled"
_GONE = {"ClientDisconnect", "ClientDisconnected", "WebSocketDisconnect"}
_LEAVES_READ = 64


def reason_of(
    failure: BaseException | None, status: int, last: int, disconnected: bool, answered: BaseException | None = None
) -> tuple[str, int]:
    """Return (event.reason, status) of a request that did not complete normally. `last`: 0 if the last byte was not sent.

    `answered`: the exception that was being handled when the response began, as in an error handler of a framework."""
    if failure is None:
        if status or disconnected:
            return "client_disconnected", status
        return "server_error", 500  # it returned without a response: the server sends a 500
    if last and status < 500 and (answered is None or answered not in (failure, *_leaves(failure))):
        return BACKGROUND_CANCELLED if cancelled(failure) else BACKGROUND_FAILED, status
    if cancelled(failure):
        return "cancelled", status
    if left_by_client(failure) or (disconnected and not last):
        return "client_disconnected", 0 if last else status  # the client did not receive the 500 of the framework
    return "server_error", status or 500


def cancelled(failure: BaseException) -> bool:
    """Return whether `failure` is only a cancellation of the task, by asyncio or trio."""
    return all(_is_cancellation(leaf) for leaf in _leaves(failure))


def left_by_client(failure: BaseException) -> bool:
    """Return whether `failure` only means that the client disconnected: an exception of a framework, or a group of them."""
    names = {type(leaf).__name__ for leaf in _leaves(failure) if not _is_cancellation(leaf)}
    return bool(names) and names <= _GONE


def _is_cancellation(failure: BaseException) -> bool:
    kind = type(failure)
    return isinstance(failure, CancelledError) or (kind.__name__ == "Cancelled" and kind.__module__.startswith("trio"))


def _leaves(failure: BaseException) -> list[BaseException]:
    """Return the exceptions of a group, including nested groups; the first ones of a large group."""
    found: list[BaseException] = []
    rest = [failure]
    while rest and len(found) < _LEAVES_READ:
        error = rest.pop()
        if isinstance(error, BaseExceptionGroup):
            rest += error.exceptions[:_LEAVES_READ]
        else:
            found.append(error)
    return found


def allowed_query(query: bytes, names: Mapping[str, object], redactor: Redactor) -> str:
    """Return the parameters of a query string whose names are allowed, redacted; "" if there are none."""
    pairs = parse_qsl(query[:_QUERY_BYTES_READ].decode("latin-1"), keep_blank_values=True, max_num_fields=None)
    kept = [(name, value) for name, value in pairs if name in names]
    return redacted_head(urlencode(kept), QUERY_CHARACTERS, redactor.text) if kept else ""


_second: tuple[int, bytes] = (-1, b"")


def second_text(seconds: int) -> bytes:
    """Return `seconds` since 1970 as RFC 3339 in UTC up to the decimal point, 20 bytes. Cached for one second."""
    global _second
    known, text = _second
    if known != seconds:
        text = strftime("%Y-%m-%dT%H:%M:%S.", gmtime(seconds)).encode()
        _second = (seconds, text)
    return text
