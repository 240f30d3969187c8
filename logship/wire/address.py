"""The address of an agent: HOST:PORT, tls://HOST:PORT or unix:///PATH."""

from dataclasses import dataclass

from logship.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Address:
    """The address of an agent. With `unix`, `host` is a path."""

    host: str
    port: int
    tls: bool = False
    unix: bool = False

    def __str__(self) -> str:
        return f"unix://{self.host}" if self.unix else f"{'tls://' if self.tls else ''}{self.host}:{self.port}"


def has_address(agent: str) -> bool:
    """Return whether `agent` is an address, and not stdout, a file, the console or off."""
    return agent not in {"stdout", "console", "off"} and not agent.startswith("file:")


def parse_address(text: str) -> Address:
    """Return the address in `HOST:PORT`, `tcp://…`, `tls://…` or `unix:///PATH`. SettingsError if it is invalid."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "tcp", text
    if scheme == "unix":
        return Address(rest, 0, unix=True)
    host, _, port = rest.rpartition(":")
    if scheme not in {"tcp", "tls"} or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise SettingsError(
            f"LOGSHIP_AGENT: invalid address {text!r}: use HOST:PORT, "
            "tls://HOST:PORT, unix:///PATH, stdout, file:PATH, console or off"
        )
    return Address(host.strip("[]"), int(port), tls=scheme == "tls")
