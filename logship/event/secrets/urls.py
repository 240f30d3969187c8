"""Secrets in URLs: user and password before a host, and the token of a link that grants access.

`postgres://ann:s3cret@db/shop`, `Host: ann:s3cret@shop`, `/reset-password/9f86d081884c7d65`."""

import re
from typing import Final

from logship.event.secrets.marks import is_mark, mark

# Everything between "://" and what can no longer be part of an address, or another address in a query: `?next=https://...`.
_ADDRESS: Final = re.compile(
    r"(?<![A-Za-z0-9+.\-])([A-Za-z][A-Za-z0-9+.\-]{0,30}+)?:?//"
    r"((?:(?![=&?][A-Za-z][A-Za-z0-9+.\-]{1,30}+://)[^\s\"'<>`])++)"
)
_AUTHORITY_END: Final = re.compile(r"[/?#]")
# `jdbc:oracle:thin:scott/tiger@//db:1521/shop`.
_ORACLE: Final = re.compile(r"(?ai:jdbc:oracle:(?:thin|oci8?):)([^\s/@:\"'<>]{1,80}/[^\s\"'<>@]{1,200})@")
# `git@github.com`: who, without a password.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z]{0,20}")
_PORT: Final = re.compile(r"[0-9]{0,5}(?=[/?#]|\Z)")
# A header or setting that holds a host with no scheme before it.
_HOST_NAMED: Final = re.compile(
    r"(?ai:(?<![A-Za-z])(?:host|hostname|authority|netloc|server|proxy|endpoint|broker|upstream|url|uri|dsn|address|origin|referer"
    r"|remote|location|to)[\"']?[ \t]{0,8}(?:=>|:=|[:=,])[ \t]{0,8}(?:b?[\"'])?)"
    r"(?![A-Za-z][A-Za-z0-9+.\-]{0,30}://)(?!(?i:mailto|sip|sips|acct|xmpp|tel):)"
    r"([^\s/@:\"'<>?#,;&=]{0,100}:(?![0-9]{1,5}(?:[/?#,;&)]|\Z))[^\s@\"'<>]{1,200}(?:@[^\s@\"'<>]{1,200}){0,8})@(?=[\w\[])"
)
# A text that is nothing else: the Host header by itself.
_ALONE: Final = re.compile(
    r"\A(?!(?i:mailto|sip|sips|acct|xmpp|tel|urn):|[0-9]+:)([^\s/@:\"'<>?#,;&=]{0,100}:(?!//)[^\s@\"'<>]{1,200}(?:@[^\s@\"'<>]{1,200}){0,8})@"
    r"[\w\[][\w.\-\[\]:]{0,255}\Z"
)
_LINK: Final = re.compile(
    r"/(?ai:(?:(?:re)?set[_\-]?password|password[_\-]?reset|forgot[_\-]?password|reset|recover|magic(?:[_\-]?(?:link|login))?"
    r"|invites?|invitations?|activate|activation|(?:verify|confirm)(?:[_\-]?email)?|(?:email[_\-]?)?(?:verification|confirmation)"
    r"|unsubscribe|one[_\-]?time|sso|autologin|impersonate|token|secret|share[_\-]?link)"
    r"(?:/(?:confirm|token|complete|[A-Za-z0-9]{1,8}))?/)([\w\-.~=:%]{16,})"
)
_UUID: Final = re.compile(r"(?ai:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
_LINK_PARTS: Final = re.compile(r"[^\W_]{12,}")


def hide_credentials(text: str) -> str:
    """Return `text` with a mark in place of user and password of every URL and host."""
    if "//" in text:
        text = _ADDRESS.sub(_without_user, text)
    text = _ORACLE.sub(_without_user_of_host, text)
    return _HOST_NAMED.sub(_without_user_of_host, _ALONE.sub(_without_user_of_host, text))


def hide_link_tokens(text: str) -> str:
    """Return `text` with a mark in place of the token of links such as `/reset/<token>`."""
    return _LINK.sub(_without_token, text)


def may_hold_link_token(text: str) -> bool:
    """Return whether `hide_link_tokens` would change `text`."""
    return any(_is_random(found[1]) for found in _LINK.finditer(text))


def _without_user(found: re.Match[str]) -> str:
    rest = found[2]
    user = _user(rest)
    if not user or is_mark(user):
        return found[0]
    return found[0][: found.start(2) - found.start()] + mark("url-credentials") + rest[len(user) :]


def _user(rest: str) -> str:
    """Return the part of an address before the "@" of its host; "" without one, and for a name alone.

    A password may hold "/", "?", "#" and "@". The path and query of an address may hold "@" too."""
    if "@" not in rest:
        return ""
    authority = _AUTHORITY_END.split(rest, maxsplit=1)[0]
    user, at, host = authority.rpartition("@")
    if at and (":" not in user or "@" not in rest[len(authority) :] or _is_host(host)):
        return "" if _PLAIN_NAME.fullmatch(user) else user
    if not at:
        _, colon, behind = authority.partition(":")
        port = _PORT.match(behind + rest[len(authority) : len(authority) + 1])
        if not colon or port or authority.startswith("["):
            return ""
    # The last "@" before a query, or the last one at all: more of the address than needed may go.
    before = rest.partition("?")[0]
    return (before if "@" in before else rest).rpartition("@")[0]


def _is_host(text: str) -> bool:
    """Return whether `text` is certainly a host: with a dot, a port or brackets, or localhost."""
    return "." in text or ":" in text or text in ("", "localhost")


def _without_user_of_host(found: re.Match[str]) -> str:
    if is_mark(found[1]):
        return found[0]
    return (
        found[0][: found.start(1) - found.start()] + mark("url-credentials") + found[0][found.end(1) - found.start() :]
    )


def _without_token(found: re.Match[str]) -> str:
    return found[0][: found.start(1) - found.start()] + mark("token") if _is_random(found[1]) else found[0]


def _is_random(text: str) -> bool:
    """Return whether `text` is not a readable title: it has a long part of letters and digits, or mixed case and digits."""
    parts = _LINK_PARTS.findall(text)
    if _UUID.search(text) or any(not part.isalpha() and not part.isdigit() for part in parts):
        return True
    return not (text.islower() or text.isupper()) and any(one.isdigit() for one in text) and len(text) >= 20
