"""The host name in a Host header, and which host names are allowed."""

import ipaddress
import re
from collections.abc import Iterable

from logship.errors import SettingsError

# A name, an IPv4 address or an IPv6 address in brackets, then an optional port; nothing else, such as user@.
_HOST = re.compile(r"(?P<name>[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?\.?|\[[0-9a-f:.]+\])(?::\d{0,5})?", re.IGNORECASE | re.ASCII)
_PATTERN = re.compile(r"\*|(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?", re.IGNORECASE | re.ASCII)


def host_name(header: str) -> str | None:
    """Return the host of a Host header in lowercase, without port and trailing dot; None if it is not a host."""
    match = _HOST.fullmatch(header)
    return match["name"].lower().removesuffix(".").strip("[]") if match else None


class AllowedHosts:
    """The host names that clients may use: localhost, all IP addresses, and `patterns` such as logs.example, *.example, *.

    `*.example` matches every name below example, not example itself. The owner of a name can point it to any address (DNS
    rebinding); this is impossible with an IP address, so all of these are allowed. SettingsError for an invalid pattern."""

    def __init__(self, patterns: Iterable[str]) -> None:
        checked = [_checked(pattern) for pattern in patterns if pattern]
        self._names = frozenset(name for name in checked if not name.startswith("*"))
        self._suffixes = tuple(name[1:] for name in checked if name.startswith("*."))
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
            " logs.example, or *.example for its subdomains"
        )
    return name.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
