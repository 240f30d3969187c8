import unicodedata

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from logship.event.invisible import visible, visible_json, visible_lines

HOSTILE = "A\x1b]52;c;ZXZp\x07\x9b31m\u202eevil\u2066\u200e\u200b\u200d\u2028\r\n\x00\x08\x7f\ufeff\U000e0041\u061c\u180e\u00ad"


def is_invisible(character: str) -> bool:
    """By its category in Unicode; signs that stand before Arabic and other numbers have a shape."""
    category = unicodedata.category(character)
    return category in ("Cc", "Zl", "Zp", "Cs") or (
        category == "Cf" and "NUMBER" not in unicodedata.name(character, "") and ord(character) not in SHAPED
    )


# ARABIC END OF AYAH and its like, and the joiners of hieroglyphs.
SHAPED = {0x601, 0x602, 0x603, 0x604, 0x605, 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, *range(0x13430, 0x13440)}


def test_every_character_that_a_terminal_obeys_or_hides_is_shown_as_its_code() -> None:
    everything = "".join(map(chr, range(0x110000)))
    hidden = [character for character in everything if is_invisible(character)]
    assert set(hidden).isdisjoint(visible(everything))
    assert len(hidden) > 180


def test_text_that_people_write_stays() -> None:
    for text in ("plain", "Grüße, 1 € · 3 ½", "日本語", "مرحبا", "שלום", "👍🏽 ❤️", "a\u00a0b", "e\u0301"):
        assert visible(text) == text
        assert visible_lines(text) == text


def test_the_codes_are_those_of_python() -> None:
    assert visible("\x1b[2J\n\t\x9b\u202e\U000e0041") == "\\x1b[2J\\n\\t\\x9b\\u202e\\U000e0041"
    assert visible_lines("a\tb\nc\r\x1b") == "a\tb\nc\\r\\x1b"


@given(st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(HOSTILE))))
def test_json_keeps_its_value(text: str) -> None:
    line = visible_json(orjson.dumps({text: [text]}))
    assert orjson.loads(line) == {text: [text]}
    assert visible(line.decode()) == line.decode()


@pytest.mark.parametrize(("character", "escaped"), [("\x9b", b"\\u009b"), ("\u202e", b"\\u202e"), ("\x7f", b"\\u007f")])
def test_json_escapes_what_orjson_leaves(character: str, escaped: bytes) -> None:
    assert escaped in visible_json(orjson.dumps(character))
