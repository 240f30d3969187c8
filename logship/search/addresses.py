"""IP addresses as numbers of 128 bits, in the order in which Elasticsearch sorts them: IPv4 is in ::ffff:0:0/96."""

import ipaddress

_IPV4_BEGINS = 0xFFFF << 32


def canonical(text: str) -> str | None:
    """Return an IP address in the form that stores use, None if `text` is not an address. IPv4 in IPv6 becomes IPv4."""
    number = address_number(text)
    return None if number is None else address_text(number)


def address_number(text: str) -> int | None:
    """Return the address as a number, None if `text` is not an address or has a zone (`%eth0`)."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return None if address.scope_id else int(address)
    return _IPV4_BEGINS + int(address)


def address_text(number: int) -> str:
    """Return the canonical text of an address number."""
    if number >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(number))


def network_numbers(text: str) -> tuple[int, int] | None:
    """Return the first and last address number of a network such as 10.0.0.0/8, None if `text` is not a network."""
    try:
        network = ipaddress.ip_network("" if "%" in text else text, strict=False)
    except ValueError:
        return None
    base = _IPV4_BEGINS if network.version == 4 else 0
    return base + int(network.network_address), base + int(network.broadcast_address)
