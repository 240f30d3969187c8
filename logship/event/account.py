"""The account of one request as bytes: what repeats is packed once, what is new is written by few calls.

Three kinds of pairs make a request's record beside the common ones: `head` (constants, and what repeats by method, route
and answer), `who` (what repeats by client), and what is new. New numbers have eight bytes and ids fixed widths, so that
one struct call writes them all. The dictionaries are bounded, because clients choose their keys.
"""

import ipaddress
import re
import struct
from asyncio import CancelledError
from collections.abc import Mapping
from time import gmtime, strftime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlencode

import ormsgpack

from logship.event import build, entry
from logship.event.redact import Redactor, suspicious

MOST_CACHED = 4096
Made = TypeVar("Made")
PATH_BYTES = 2048
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

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:@/+=\-]{1,64}")


class Head(NamedTuple):
    """Packed pairs that repeat by method, route, status, media type, reason and slowness; and what the message says
    before and behind the path, `text_bytes` together."""

    packed: bytes
    fields: int
    begin: bytes
    answer: bytes
    text_bytes: int


def pack_head(method: str, route: str | None, status: int, mime: bytes, reason: str, slow: bool) -> Head:
    """Return the pairs of a kind of answer. `status` 0: no answer began, and none is claimed."""
    failed = status >= 500 or reason in {"server_error", "cancelled"}
    fields: dict[str, object] = {
        "log.level": "error" if failed else "warning" if slow else "info",
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
        fields["http.response.mime_type"] = mime.partition(b";")[0].strip().decode("latin-1")[:128]
    if slow:
        fields["tags"] = ["slow"]
    begin = method.encode("utf-8", "replace") + b" "
    answer = b" %d " % status if status else b" - "
    return Head(entry.pairs(fields), len(fields), begin, answer, len(begin) + len(answer))


def pack_client(
    redactor: Redactor, client_ip: str, agent: bytes, host: bytes, address: str, version: str, scheme: str
) -> tuple[bytes, int]:
    """Return the pairs that repeat by client, and how many. `client_ip`: on, truncated or off."""
    fields = {
        "user_agent.original": redactor.text(agent.decode("latin-1"))[:512] if agent else "",
        "url.domain": redactor.text(domain_of(host)),
        "client.ip": shown_ip(address, client_ip),
        "http.version": version,
        "url.scheme": scheme,
        "network.protocol": "http",
    }
    kept = {name: value for name, value in fields.items() if value}
    return entry.pairs(kept), len(kept)


def remembered(cache: dict[Any, Made], key: object, made: Made) -> Made:
    """`made`, kept in `cache` under `key`; a cache that is full begins anew."""
    if len(cache) > MOST_CACHED:
        cache.clear()
    cache[key] = made
    return made


def port_of(port: object) -> int:
    """A client's port as a number: granian gives text, a unix socket none (0)."""
    return int(port) if isinstance(port, (int, str)) and str(port).isdecimal() else 0


def domain_of(host: bytes) -> str:
    """A Host header without its port."""
    text = host.decode("latin-1")[:256]
    name, _, port = text.rpartition(":")
    return name if name and port.isdecimal() else text


def shown_ip(address: str, how: str) -> str:
    """`address` whole, cut to its network (/24, /48), or empty; empty too for what is no IP address (a test client)."""
    if how == "off" or not address:
        return ""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if how == "on":
        return str(parsed)
    bits = 24 if parsed.version == 4 else 48
    return str(ipaddress.ip_network(f"{parsed}/{bits}", strict=False).network_address)


class Path(NamedTuple):
    """A redacted path: its bytes, the packed pair, and whether it is a probe's."""

    shown: bytes
    packed: bytes
    probe: bool


def pack_path(redactor: Redactor, path: str, probe: bool = False) -> Path:
    """Return `path` redacted and cut to 2,048 bytes, ready for a record."""
    shown = path.encode("utf-8", "replace")
    if suspicious(shown):
        shown = redactor.url(path).encode("utf-8", "replace")
    shown = shown[:PATH_BYTES].decode("utf-8", "ignore").encode()
    return Path(shown, PATH_KEY + size16(len(shown)) + shown, probe)


def trace_of(header: bytes) -> tuple[bytes, bytes] | None:
    """Return (trace id, parent span id) of a W3C `traceparent`; None if it is not valid. Source: W3C Trace Context 1."""
    match = _TRACEPARENT.fullmatch(header)
    if match is None or header[:2] == b"ff" or not match[1].strip(b"0") or not match[2].strip(b"0"):
        return None
    return match[1], match[2]


def request_id_of(header: bytes, redactor: Redactor) -> bytes | None:
    """Return a request id that a client sent, if it is harmless: at most 64 plain characters, and no secret by its look."""
    if _REQUEST_ID.fullmatch(header) is None or (
        suspicious(header) and redactor.text(header.decode()).encode() != header
    ):
        return None
    return header


def reason_of(failure: BaseException | None, status: int, last: int, disconnected: bool) -> tuple[str, int]:
    """Return (event.reason, status) of a request that did not simply complete. `last`: 0 if its last byte was never sent."""
    if failure is None:
        if status or disconnected:
            return "client_disconnected", status
        return "server_error", 500  # it returned without an answer: the server sends a 500 of its own
    if isinstance(failure, CancelledError):
        return "cancelled", status
    gone = type(failure).__name__ in {"ClientDisconnect", "ClientDisconnected"}
    if gone or (disconnected and not last):
        return "client_disconnected", 0 if last else status  # the framework's 500 was sent to nobody
    return "server_error", status or 500


def allowed_query(query: bytes, names: Mapping[str, object], redactor: Redactor) -> str:
    """Return the pairs of a query string whose names are allowed, redacted; empty if none is."""
    pairs = parse_qsl(query.decode("latin-1")[:8192], keep_blank_values=True, max_num_fields=None)
    kept = [(name, value) for name, value in pairs if name in names]
    return redactor.text(urlencode(kept))[:1024] if kept else ""


_second: tuple[int, bytes] = (-1, b"")


def second_text(seconds: int) -> bytes:
    """`seconds` since 1970 as RFC 3339 in UTC up to the point, 20 bytes; made once a second."""
    global _second
    known, text = _second
    if known != seconds:
        text = strftime("%Y-%m-%dT%H:%M:%S.", gmtime(seconds)).encode()
        _second = (seconds, text)
    return text
