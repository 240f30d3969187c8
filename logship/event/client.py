"""The client of a request: address, host name and user agent, as far as settings allow them.

These texts come from the client and may have any length: they are cut to a limit with a margin, then redacted."""

import ipaddress
import re
from typing import Final

from logship.event.cut import redacted_head
from logship.event.redact import Redactor

AGENT_CHARACTERS: Final = 512
DOMAIN_CHARACTERS: Final = 255  # of a DNS name
# The longest address, IPv6 in brackets with a zone and a port, has about 80.
_ADDRESS_CHARACTERS = 128
_BRACKETED = re.compile(r"\[([^\]]*)\](?::[0-9]{1,5})?")
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}")
_PORT = re.compile(r":[0-9]{0,5}\Z")


def user_agent(header: bytes, redactor: Redactor) -> str:
    """Return a User-Agent header in at most 512 characters, redacted."""
    return redacted_head(header, AGENT_CHARACTERS, redactor.text)


def domain(host: bytes, redactor: Redactor) -> str:
    """Return a Host header without its port and without a part before an "@", redacted."""
    text = host[:1024].decode("latin-1").rpartition("@")[2]
    return redactor.text(_PORT.sub("", text)[:DOMAIN_CHARACTERS])


def shown_ip(address: str, how: str) -> str:
    """Return the IP address in `address`, complete or cut to its network (/24, /48); "" without one, or if `how` is off.

    `address`: as servers and proxies write it, with or without port, brackets or zone. The address of an IPv4 client of a
    dual-stack socket (`::ffff:203.0.113.9`) is IPv4. `how`: on, truncated or off."""
    parsed = None if how == "off" or not address else _parsed(address[:_ADDRESS_CHARACTERS].strip())
    if parsed is None:
        return ""
    if how == "on":
        return str(parsed)
    bits = 24 if parsed.version == 4 else 48
    return str(ipaddress.ip_network(f"{parsed}/{bits}", strict=False).network_address)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    match = _BRACKETED.fullmatch(address) or _WITH_PORT.fullmatch(address)
    try:
        parsed = ipaddress.ip_address((match[1] if match else address).partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def port_of(port: object) -> int:
    """Return the port of a client as a number; granian passes text. 0 for a Unix socket."""
    return int(port) if isinstance(port, (int, str)) and str(port).isdecimal() else 0
