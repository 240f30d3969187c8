"""What is known of a request that could be sent again, and what is not: not recorded, redacted, or not sendable as it was.

Method, path, host and headers come from the client of the original request: everything that is not printable ASCII is
encoded or left out, so that the result has neither control characters nor line breaks."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from logship.errors import QuestionError
from logship.event.secrets.marks import MARK
from logship.search.query import Record
from logship.search.units import size

# RFC 3986: what a path may have unencoded. Brackets and braces are not in it: curl and REST clients would expand them.
PATH_SAFE = "/-._~!$&'()*+,;=:@"
METHOD = re.compile(r"[A-Z]{1,20}")
HOST = re.compile(r"[A-Za-z0-9.-]{1,255}|\[[0-9A-Fa-f:.]{2,60}\]")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
TRACE_ID, SPAN_ID = re.compile(r"(?!0{32})[0-9a-f]{32}"), re.compile(r"(?!0{16})[0-9a-f]{16}")
HEADER_LABEL, COOKIE = "http.request.header.", re.compile(r"http\.request\.cookie\.")
NO_HOST = "HOST"
# Headers that the sending client computes.
COMPUTED = {"host", "content-length", "connection", "transfer-encoding", "expect", "upgrade", "traceparent", "cookie"}


@dataclass(frozen=True, slots=True)
class Reproduction:
    """`url`: complete and encoded; `headers`: name and value; `not_recorded`: what the original had or may have had besides."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    not_recorded: tuple[str, ...]


def reproduction(record: Record, base: str = "") -> Reproduction:
    """Return the request of a record. `base`: send it there instead, as http://HOST:PORT.

    QuestionError for a websocket, and for a record that has no method or no path."""
    method, path = str(record.get("http.request.method", "")), str(record.get("url.path", ""))
    if record.get("network.protocol") == "websocket" or str(record.get("url.scheme", "")) in ("ws", "wss"):
        raise QuestionError(f"{path or 'this request'} is a websocket: a single request cannot reproduce it")
    if not METHOD.fullmatch(method) or not path:
        raise QuestionError("the method or the path of this request is not recorded: it cannot be reproduced")
    missing: list[str] = []
    origin = base.rstrip("/") or _origin(record, missing)
    url = f"{origin}{_path(path, missing)}{_query(record, missing)}"
    headers = _headers(record, missing)
    body_bytes = record.get("http.request.body.bytes")
    if isinstance(body_bytes, int) and body_bytes > 0:
        missing.append(f"the body ({size(body_bytes)})")
    return Reproduction(method, url, tuple(headers), tuple(missing))


def base_of(text: str) -> str:
    """Return the scheme, host and port that a user wants requests sent to. QuestionError if it is not an address."""
    try:
        parts = urlsplit(text)
        host = parts.netloc if parts.port is None else parts.netloc.rpartition(":")[0]
        only = parts.path in ("", "/") and not parts.query and not parts.fragment
        usable = parts.scheme in ("http", "https") and HOST.fullmatch(host) is not None and only
    except ValueError:
        usable = False
    if not usable:
        raise QuestionError(f"invalid address {text!r}: use http://HOST:PORT or https://HOST:PORT")
    return text


def _origin(record: Record, missing: list[str]) -> str:
    scheme, host = str(record.get("url.scheme", "")), str(record.get("url.domain", ""))
    if scheme not in ("http", "https"):
        missing.append("the scheme (http is assumed)")
        scheme = "http"
    if not HOST.fullmatch(host):
        missing.append(f"the host (replace {NO_HOST})")
        host = NO_HOST
    else:
        missing.append("the port (that of the scheme is assumed)")
    return f"{scheme}://{host}"


def _path(path: str, missing: list[str]) -> str:
    if MARK.search(path):
        missing.append("parts of the path, which are redacted")
    # The path was recorded decoded: a slash or a percent sign that was encoded is not known as such.
    text = quote(path, safe=PATH_SAFE, errors="replace")
    return text if text.startswith("/") else f"/{text}"


def _query(record: Record, missing: list[str]) -> str:
    pairs = parse_qsl(str(record.get("url.query", "")), keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if not MARK.search(name + value)]
    if len(kept) < len(pairs):
        missing.append("query values that are redacted")
    missing.append("query parameters that are not allowed by name (LOGSHIP_ALLOW_QUERY)")
    return f"?{urlencode(kept, errors='replace')}" if kept else ""


def _headers(record: Record, missing: list[str]) -> list[tuple[str, str]]:
    labels = record.get("labels") or {}
    named = {name.removeprefix(HEADER_LABEL): str(value) for name, value in labels.items() if name.startswith(HEADER_LABEL)}
    if record.get("user_agent.original"):
        named.setdefault("user-agent", str(record["user_agent.original"]))
    named = {name: value for name, value in named.items() if name not in COMPUTED}
    headers = [(name, value) for name, value in named.items() if HEADER_NAME.fullmatch(name) and _sendable(value)]
    left_out = [name for name in named if name not in dict(headers) and HEADER_NAME.fullmatch(name)]
    if left_out:
        missing.append(f"values of headers that are redacted or not printable: {', '.join(left_out)}")
    trace, parent = str(record.get("trace.id", "")), str(record.get("parent.id", ""))
    if TRACE_ID.fullmatch(trace) and SPAN_ID.fullmatch(parent):  # the client sent one; else logship made the trace
        headers.append(("traceparent", f"00-{trace}-{parent}-01"))
    missing.append("other headers (LOGSHIP_ALLOW_HEADERS)")
    missing.append("cookies (recorded ones are not sent)" if any(map(COOKIE.match, labels)) else "cookies")
    return headers


def _sendable(value: str) -> bool:
    """Whether a header has this value as it was: printable ASCII, not redacted, and without a variable of a REST client."""
    return value.isascii() and value.isprintable() and not MARK.search(value) and "{{" not in value
