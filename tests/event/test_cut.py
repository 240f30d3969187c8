import ormsgpack
from hypothesis import given
from hypothesis import strategies as st

from logship.event.cut import cut_middle, cut_text, cut_to, fit, redacted_head, safe_text

TEXT = st.text(st.characters(codec="utf-8"), max_size=200)


def test_a_cut_text_says_how_much_is_gone() -> None:
    assert cut_text("a" * 100, 100) == "a" * 100
    assert cut_text("a" * 101, 100) == "a" * 60 + "...[cut 41 bytes]"


def test_a_text_cut_in_the_middle_keeps_its_head_and_more_of_its_tail() -> None:
    text = cut_middle("head " + "x" * 1000 + " tail", 200)
    assert text.startswith("head xxx")
    assert text.endswith("xxx tail")
    assert "...[cut 850 bytes]" in text


@given(TEXT, st.integers(0, 300))
def test_a_cut_text_fits_in_utf8(text: str, limit_bytes: int) -> None:
    assert len(cut_text(text, limit_bytes).encode()) <= limit_bytes
    assert len(cut_middle(text, limit_bytes).encode()) <= limit_bytes


@given(st.text())
def test_a_safe_text_can_be_encoded_and_a_good_one_stays(text: str) -> None:
    safe_text(text + "\ud800").encode()
    assert safe_text(text) == text


def test_a_surrogate_pair_is_one_character() -> None:
    assert safe_text("\ud83d\ude00 \ud800") == "\U0001f600 \ufffd"


@given(
    st.dictionaries(TEXT, TEXT | st.booleans(), max_size=20),
    st.dictionaries(TEXT, st.integers(0, 9), max_size=20),
    st.integers(0, 3000),
)
def test_fields_fit_their_budget(
    labels: dict[str, str | bool], numbers: dict[str, int | float], budget_bytes: int
) -> None:
    fewer, few, cut = cut_to(labels, numbers, budget_bytes)
    texts = (*fewer, *few, *(value for value in fewer.values() if isinstance(value, str)))
    assert sum(len(text.encode()) for text in texts) <= budget_bytes
    assert set(fewer) <= set(labels)
    assert set(few) <= set(numbers)
    assert cut == ((fewer, few) != (labels, numbers))


def test_the_longest_texts_are_shortened_first() -> None:
    labels: dict[str, str | bool] = {"short": "s" * 50, "long": "l" * 5000, "longer": "m" * 50_000, "yes": True}
    fewer, few, cut = cut_to(labels, {"n": 1}, 4000)
    assert cut
    assert fewer["short"] == labels["short"]
    assert fewer["yes"] is True
    assert few == {"n": 1}
    assert all(1800 < len(str(fewer[name])) < 2000 for name in ("long", "longer"))


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=4000) | st.lists(st.text(max_size=4000), max_size=9), max_size=9))
def test_fields_fit_a_budget_and_stay_as_they_are_where_they_can(fields: dict[str, object]) -> None:
    packed = len(ormsgpack.packb(fields))
    fitted = fit(fields, packed, 6000)
    assert len(ormsgpack.packb(fitted)) <= 6000
    if packed <= 6000:
        assert fitted == fields
    assert all(isinstance(fitted[name], str) for name, value in fields.items() if isinstance(value, str))


def test_of_a_long_text_only_what_is_shown_and_a_margin_is_redacted() -> None:
    read: list[str] = []

    def redact(text: str) -> str:
        read.append(text)
        return text

    assert redacted_head("x" * 10**6, 100, redact) == "x" * 100
    assert redacted_head(b"x" * 10**6, 100, redact) == "x" * 100
    assert max(map(len, read)) < 2000
    assert redacted_head("short", 100, redact) == "short"
