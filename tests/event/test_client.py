import pytest

from logship.event import client
from logship.event.redact import Redactor

REDACTOR = Redactor()


@pytest.mark.parametrize(
    ("address", "whole", "network"),
    [
        ("203.0.113.9", "203.0.113.9", "203.0.113.0"),
        ("203.0.113.9:51234", "203.0.113.9", "203.0.113.0"),
        ("::ffff:203.0.113.9", "203.0.113.9", "203.0.113.0"),
        ("[::ffff:203.0.113.9]:80", "203.0.113.9", "203.0.113.0"),
        ("2001:db8:1:2::5", "2001:db8:1:2::5", "2001:db8:1::"),
        ("[2001:db8:1:2::5]:443", "2001:db8:1:2::5", "2001:db8:1::"),
        ("[2001:db8:1:2::5]", "2001:db8:1:2::5", "2001:db8:1::"),
        ("fe80::1%eth0", "fe80::1", "fe80::"),
        (" 192.0.2.1 ", "192.0.2.1", "192.0.2.0"),
        ("testclient", "", ""),
        ("unknown", "", ""),
        ("", "", ""),
        ("203.0.113.9:http", "", ""),
        ("1" * 100_000, "", ""),
    ],
)
def test_an_address_is_read_as_servers_and_proxies_write_it(address: str, whole: str, network: str) -> None:
    assert client.shown_ip(address, "on") == whole
    assert client.shown_ip(address, "truncated") == network
    assert client.shown_ip(address, "off") == ""


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        (b"shop.example:8000", "shop.example"),
        (b"shop.example", "shop.example"),
        (b"shop.example:", "shop.example"),
        (b"[::1]:8000", "[::1]"),
        (b"[::1]", "[::1]"),
        (b"user:secret@shop.example:8000", "shop.example"),
        (b"", ""),
        (b"a" * 5000, "a" * 255),
    ],
)
def test_a_domain_is_the_host_without_port_and_user(host: bytes, domain: str) -> None:
    assert client.domain(host, REDACTOR) == domain


def test_of_a_long_user_agent_only_the_beginning_is_read() -> None:
    read: list[int] = []

    class Counting(Redactor):
        def text(self, text: str) -> str:
            read.append(len(text))
            return super().text(text)

    shown = client.user_agent(b"api key: " * 100_000, Counting())
    assert len(shown) <= client.AGENT_CHARACTERS
    assert sum(read) < 4096


@pytest.mark.parametrize("before", [0, 400, 505, 511])
def test_a_secret_across_the_cut_does_not_show(before: int) -> None:
    secret = "hunter2hunter2hunter2"
    shown = client.user_agent(b"x" * before + f" password={secret} ".encode() + b"y" * 5000, REDACTOR)
    assert secret[:4] not in shown


@pytest.mark.parametrize(("port", "number"), [(80, 80), ("80", 80), (None, 0), ("x", 0), (-1, 0)])
def test_a_port_is_a_number(port: object, number: int) -> None:
    assert client.port_of(port) == number
