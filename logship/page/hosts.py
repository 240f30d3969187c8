"""Host names under which the HTTP interface may be reached: what a Host header says, and which names are allowed."""

import ipaddress
import re
from collections.abc import Iterable

from logship.errors import SettingsError

# A name, an IPv4 address or an IPv6 address in brackets, then an optional port; nothing else, such as user@.
_HOST = re.compile(r"(?P<name>[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\])(?::\d{0,5})?", re.IGNORECASE | re.ASCII)
_PATTERN = re.compile(r"\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?", re.IGNORECASE | re.ASCII)


def host_name(header: str) -> str | None:
    """Return the lowercase host of a Host header, without port and trailing dot; None if it is not a host at all."""
    found = _HOST.fullmatch(header)
    return found["name"].lower().removesuffix(".").strip("[]") if found else None


class AllowedHosts:
    """The names a client may use: localhost, any IP address, and `patterns`, such as logs.example, *.example or *.

    `*.example` is every name below example, not example itself. A browser resolves a name to whatever its owner says
    (DNS rebinding); an address cannot be pointed elsewhere, so every address is allowed. SettingsError for a pattern
    that is not a name."""

    def __init__(self, patterns: Iterable[str]) -> None:
        checked = [_checked(pattern) for pattern in patterns if pattern]
        self._names = frozenset(one for one in checked if not one.startswith("*"))
        self._suffixes = tuple(one[1:] for one in checked if one.startswith("*."))
        self._any = "*" in checked

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str) or not name:
            return False
        if self._any or name in self._names or name == "localhost" or name.endswith(".localhost"):
            return True
        if self._suffixes and name.endswith(self._suffixes):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _checked(pattern: str) -> str:
    name = pattern.strip().removesuffix(".").strip("[]")
    if _PATTERN.fullmatch(name) is None and not _is_address(name):
        raise SettingsError(
            f"allowed_hosts: {pattern!r} is not a host name; write a name without scheme and port, such as"
            " logs.example, or *.example for every name below it"
        )
    return name.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
