"""Middleware that refuses requests without access, and adds security headers to every response.

The page listens on loopback, but a browser on the same machine visits other web sites. A request to the name of another
site that resolves to 127.0.0.1 (DNS rebinding) is refused by its Host header; a request started by another site, by
Sec-Fetch-Site or Origin. A client that sends a token is no such browser: browsers store passwords by host name, and never
send a bearer token by themselves."""

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from logship.page.hosts import AllowedHosts, host_name

SECURITY = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
# Served under any host name and without a token: an orchestrator calls a pod by its address or by any of its names.
OPEN = frozenset({"/healthz", "/readyz"})
READING = frozenset({"GET", "HEAD"})
# Room for the longest query with every character escaped.
QUERY_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Access:
    """Which clients have access: without tokens every client. `read_token` allows GET and HEAD, `token` every method.

    `hosts`: allowed names in a Host header besides localhost and IP addresses, see `AllowedHosts`."""

    token: str = ""
    read_token: str = ""
    hosts: Iterable[str] = ()


OPEN_ACCESS = Access()


class Guard:
    """Passes a request on to `inner`, or responds with 400, 401, 403, 405, 414 or 421."""

    def __init__(self, inner: ASGIApp, access: Access) -> None:
        self._inner = inner
        # Token: whether it allows changes. If both tokens are the same text, the full one wins.
        granted = {access.read_token.encode(): False} | {access.token.encode(): True}
        self._tokens = {token: may_change for token, may_change in granted.items() if token}
        self._hosts = AllowedHosts(access.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._inner(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refusal(scope)
        if refused is None:
            await self._inner(scope, receive, send_with_headers)
        else:
            await _refuse(send_with_headers, *refused)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if len(scope["query_string"]) > QUERY_LIMIT_BYTES:
            return 414, f"the query string is too long: the limit is {QUERY_LIMIT_BYTES} bytes"
        reading = scope["method"] in READING
        if reading and scope["path"] in OPEN:
            return None
        host = headers.get("host", "")
        name = host_name(host)
        if name is None:
            return 400, f"the Host header {host[:100]!r} is not HOST or HOST:PORT"
        may_change = self._granted(headers.get("authorization", ""))
        if may_change is None and name not in self._hosts:
            token = ", or send the token" if self._tokens else ""
            return (
                421,
                f"unexpected Host header {host[:100]!r}; add the name to LOGSHIP_ALLOWED_HOSTS (--allowed-host){token}",
            )
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return 403, "cross-origin requests are not allowed"
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host.lower():
            return 403, "cross-origin requests are not allowed"
        if self._tokens and may_change is None:
            return 401, "token missing or wrong: send Authorization: Bearer TOKEN (in a browser: as the password)"
        if not reading:
            if self._tokens and not may_change:
                return 403, "this token allows reading only"
            return 405, "method not allowed: use GET"
        return None

    def _granted(self, authorization: str) -> bool | None:
        """Return whether the token of the request allows changes; None if it has no valid token."""
        scheme, _, sent = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                sent = base64.b64decode(sent, validate=True).decode("utf-8", "replace").partition(":")[2]
            except binascii.Error:
                return None
        elif scheme.lower() != "bearer":
            return None
        token_sent = sent.strip().encode("utf-8", "surrogateescape")
        # All tokens are compared, so that the duration reveals nothing about them.
        granted = [may_change for token, may_change in self._tokens.items() if hmac.compare_digest(token_sent, token)]
        return granted[0] if granted else None


def _place(origin: str) -> str | None:
    """Return host and port of an origin; None for `null` and for anything that is not an origin."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


async def _refuse(send: Send, status: int, message: str) -> None:
    headers = [(b"content-type", b"application/json")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="logship", charset="UTF-8"'))
    if status == 405:
        headers.append((b"allow", b"GET, HEAD"))
    body = orjson.dumps({"error": message})
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
