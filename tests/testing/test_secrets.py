import base64
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from logship.event.redact import KINDS, Redactor
from logship.testing import PLANTED, assert_no_secrets, plant

PRIVACY = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")
SECRET = 'it\'s a "secret" of nobody/7'


def one_by_one() -> Iterator[dict[str, bytes]]:
    yield {"a": b"fine"}
    yield {"b": SECRET.encode()}


def test_the_kinds_in_the_docs_are_the_kinds_in_the_code() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", PRIVACY, re.MULTILINE))
    assert rows == KINDS


def test_every_kind_has_a_sample() -> None:
    assert PLANTED.keys() == KINDS.keys()
    assert all(PLANTED[kind] in plant(kind) for kind in KINDS)


def test_an_unknown_kind_cannot_be_planted() -> None:
    with pytest.raises(KeyError):
        plant("rumour")


@pytest.mark.parametrize(
    "data",
    [
        SECRET,
        f"before {SECRET} after".encode(),
        bytearray(SECRET.encode()),
        {"a": [{"b": (1, SECRET)}]},
        {SECRET: 1},
        one_by_one(),
        {SECRET},
        "/path?x=" + quote(SECRET, safe=""),
        '{"a": "it\'s a \\"secret\\" of nobody/7"}',
        base64.b64encode(SECRET.encode()),
        ValueError(SECRET),
    ],
)
def test_a_secret_is_found_in_every_form(data: object) -> None:
    with pytest.raises(AssertionError, match="the secret it's\\.\\.\\. is in"):
        assert_no_secrets(data, ["other", SECRET])


def test_the_error_says_where_and_does_not_repeat_the_secret() -> None:
    with pytest.raises(AssertionError) as failure:
        assert_no_secrets({"labels": {"note": ["x", SECRET]}}, [SECRET])
    assert "labels.note[1]" in str(failure.value)
    assert SECRET not in str(failure.value)


def test_data_without_secrets_pass() -> None:
    assert_no_secrets({"a": [1, None, b"\xff", "secret of somebody else"]}, [SECRET, *PLANTED.values()])


def test_an_empty_text_cannot_be_planted() -> None:
    with pytest.raises(ValueError, match="empty"):
        assert_no_secrets("anything", [""])


def test_what_the_redactor_leaves_of_all_samples_together_passes() -> None:
    redactor = Redactor(("customer_name",))
    everything = "\n".join(plant(kind) for kind in PLANTED)
    assert_no_secrets(redactor.text(everything), PLANTED.values())
    assert_no_secrets(redactor.fields({"deep": {"list": [everything]}}), PLANTED.values())
