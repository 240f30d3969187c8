"""Host names: what a Host header says, and which names are answered."""

import pytest

from logship.errors import SettingsError
from logship.page.hosts import AllowedHosts, host_name


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("logs", "logs"),
        ("Logs.Example:24280", "logs.example"),
        ("logs.example.", "logs.example"),
        ("my_logs:80", "my_logs"),
        ("127.0.0.1:24280", "127.0.0.1"),
        ("[::1]:80", "::1"),
        ("logs:", "logs"),
    ],
)
def test_a_host_header_is_a_name_and_a_port(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    "header",
    [
        "",
        "evil.com@127.0.0.1",
        "127.0.0.1@evil.com:80",
        "a b",
        "127.0.0.1, evil.com",
        "a/b",
        "::1",
        "[::1",
        "a:b",
        "a:123456",
        "a#b",
        "a?b",
        "-a",
        "a:1:2",
        "http://a",
        "localhost\n",
        "[evil.com]",
        "\u212aevin",
    ],
)
def test_what_is_not_a_host_is_none(header: str) -> None:
    assert host_name(header) is None


def test_localhost_addresses_and_listed_names_are_allowed() -> None:
    allowed = AllowedHosts(["logs", "Logs.Example", "*.shop.example", ""])
    for name in ("localhost", "x.localhost", "127.0.0.1", "::1", "93.184.216.34", "logs", "logs.example"):
        assert name in allowed
    for name in ("a.shop.example", "a.b.shop.example"):
        assert name in allowed
    for name in ("shop.example", "evilshop.example", "evil.example", "localhost.evil.com", "logs.evil.com", ""):
        assert name not in allowed


def test_a_star_allows_every_name() -> None:
    assert "anything.example" in AllowedHosts(["*"])


@pytest.mark.parametrize("pattern", ["http://logs", "logs:24280", "logs/x", "*logs", "a.*.b", "a b", "**"])
def test_a_pattern_that_is_not_a_name_is_refused(pattern: str) -> None:
    with pytest.raises(SettingsError, match="is not a host name"):
        AllowedHosts([pattern])
