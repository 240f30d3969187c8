"""How many secrets are found and how many other texts are changed, counted over the lists of `samples.py`."""

import re

import pytest

from logship.event.redact import Redactor
from logship.event.secrets.formats import FORMATS, HASHES, MIDDLES, NAMED_AFTER, SHAPES
from logship.event.secrets.tokens import tokens
from tests.event.samples import benign, secrets

REDACTOR = Redactor()
MARKS = re.compile(r"\[redacted(?::[a-z-]+)?\]")
# This much of a secret in a row is a leak: a password with its end cut off is still half a password.
PIECE_CHARACTERS = 5


def leaks(secret: str, shown: str) -> bool:
    """Whether a piece of `secret` is in `shown`."""
    rest, size = MARKS.sub("", shown), min(len(secret), PIECE_CHARACTERS)
    return any(secret[at : at + size] in rest for at in range(len(secret) - size + 1))


def report(what: str, wrong: list[str], count: int) -> None:
    print(f"{what}: {len(wrong)} of {count} ({len(wrong) / count:.1%})", *wrong, sep="\n  ")


def test_the_lists_are_long_and_nothing_is_in_them_twice() -> None:
    assert len(secrets()) >= 150
    assert len(benign()) >= 150
    assert len(set(secrets())) == len(secrets())
    assert len(set(benign())) == len(benign())


def test_no_secret_of_the_list_is_missed() -> None:
    found = secrets()
    missed = [repr(text) for text, secret in found if leaks(secret, REDACTOR.text(text))]
    report("secrets missed", missed, len(found))
    assert missed == []


def test_at_most_one_in_a_hundred_benign_texts_is_changed() -> None:
    texts = benign()
    changed = [f"{text!r} -> {shown!r}" for text in texts if (shown := REDACTOR.text(text)) != text]
    report("benign texts changed", changed, len(texts))
    assert len(changed) <= len(texts) / 100


def test_secrets_in_the_middle_of_a_text_are_found_as_well() -> None:
    found = secrets()
    before, after = "at 10:00 worker 3 said (again):\n", "\nand went on with 'the next' order"
    missed = [repr(text) for text, secret in found if leaks(secret, REDACTOR.text(f"{before}{text}{after}"))]
    report("secrets missed between lines", missed, len(found))
    assert missed == []


def test_what_is_left_of_a_sample_is_stable() -> None:
    for text, _ in secrets():
        once = REDACTOR.text(text)
        assert REDACTOR.text(once) == once, text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cookies", 3),
        ("pass", 3),
        ("card", "visa"),
        ("session", "started"),
        ("csrf_protection", "on"),
        ("pin", "left"),
        ("device.imei", 354870022345675),
        ("imei", 378282246310005),
        ("sentry_trace_id", "7f83b1657ff1fc53b92dc18148a1d65dfc2d4b1fa3d677284addd200126d9069"),
        ("password", None),
        ("token_count", 17),
    ],
)
def test_a_field_that_only_sounds_secret_keeps_its_value(name: str, value: object) -> None:
    assert REDACTOR.fields({name: value}) == {name: value}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("db_pass", "hunter2"),
        ("pin", 4711),
        ("otp", 482913),
        ("session", "f81d4fae7dec"),
        ("card", "4111 1111 1111 1111"),
        ("cookies", {"sid": "abc123"}),
        ("algolia", "7" + "0a" * 15 + "b"),
        ("host", "ann:s3cr3t9@shop.example"),
        ("contraseña", "hunter2"),
    ],
)
def test_a_field_with_a_secret_loses_it(name: str, value: object) -> None:
    assert "[redacted:" in str(REDACTOR.fields({name: value})[name])


def test_a_card_under_a_name_with_other_meanings_is_still_read_by_its_own_names() -> None:
    fields = REDACTOR.fields({"card": {"brand": "visa", "last4": "1111", "number": "4111111111111111", "cvc": "123"}})
    assert fields == {"card": {"brand": "visa", "last4": "1111", "number": "[redacted:card]", "cvc": "[redacted:card]"}}


def test_every_format_has_the_long_word_that_the_search_looks_for() -> None:
    for issuer, beginnings, _, least in FORMATS:
        for beginning in beginnings.split():
            assert len(beginning) >= 2, issuer
            assert len(beginning) + least >= 16, (issuer, beginning)


@pytest.mark.parametrize(("issuer", "beginnings", "alphabet", "least"), FORMATS, ids=lambda one: str(one)[:20])
def test_every_format_is_found_at_its_shortest_and_not_without_its_body(
    issuer: str, beginnings: str, alphabet: str, least: int
) -> None:
    body = ("7a" if alphabet in ("hex", "lower") else "7A") * least
    for beginning in beginnings.split():
        token = beginning + body[:least]
        assert [(start, end) for start, end, _ in tokens(f"({token})")] == [(1, 1 + len(token))], issuer
        assert next(tokens(f"/a?q={token}"), None) == (5, 5 + len(token), "api-key"), issuer
        assert list(tokens(f"({beginning}{body[: min(least, 15) // 2]})")) == [], issuer


def test_every_row_of_the_tables_says_who_issues_it() -> None:
    assert all(row[0] for row in FORMATS)
    assert all(row[0] for table in (SHAPES, MIDDLES, HASHES) for row in table)
    assert all(name == name.lower() for name in NAMED_AFTER)
