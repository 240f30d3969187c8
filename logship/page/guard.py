"""Who may ask, and what every answer carries: a pure ASGI layer around the page's routes.

The page listens on loopback, but a browser on the same machine visits strangers. A stranger's name that resolves to
127.0.0.1 (DNS rebinding) is told by its Host; a request that another site started, by Sec-Fetch-Site or its Origin."""

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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
# Answers whether somebody is there, to whoever asks: an orchestrator has no token.
OPEN = frozenset({"/healthz"})
# Room for the longest question there may be, with every character escaped.
QUERY_LIMIT_BYTES = 64 * 1024


class Guard:
    """Lets a request through to `inner`, or answers 401, 403, 405, 414 or 421 itself."""

    def __init__(self, inner: ASGIApp, token: str = "", hosts: Iterable[str] = ()) -> None:
        self._inner, self._token, self._hosts = inner, token.encode(), frozenset(map(str.lower, hosts))

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
            await _answer(send_with_headers, *refused)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        if len(scope["query_string"]) > QUERY_LIMIT_BYTES:
            return 414, f"the question is longer than {QUERY_LIMIT_BYTES} bytes"
        if scope["method"] not in {"GET", "HEAD"}:
            return 405, "this interface only answers questions: use GET"
        if not self._is_ours(headers.get("host", "")):
            return 421, "this name is not one of this collector; ask by its address or as localhost"
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return 403, "another web site may not ask"
        origin = headers.get("origin")
        if origin is not None and _place(origin) != headers.get("host", "").lower():
            return 403, "another web site may not ask"
        if self._token and scope["path"] not in OPEN and not self._knows_token(headers.get("authorization", "")):
            return 401, "a token is needed: Authorization: Bearer TOKEN (a browser may give it as the password)"
        return None

    def _is_ours(self, host: str) -> bool:
        """An address cannot be rebound, so any is good; of the names only localhost and those we were told."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name == "localhost" or name.endswith(".localhost") or name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _knows_token(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode("utf-8", "replace").partition(":")[2]
            except binascii.Error:
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token)


def _place(origin: str) -> str | None:
    """The host and port of an origin; None for `null` and what is none."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


async def _answer(send: Send, status: int, sentence: str) -> None:
    headers = [(b"content-type", b"application/json")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="logship", charset="UTF-8"'))
    if status == 405:
        headers.append((b"allow", b"GET, HEAD"))
    body = orjson.dumps({"error": sentence})
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
