"""Card numbers: digits with the prefix and length of a card scheme and a valid Luhn check digit.

One in ten other long numbers passes the Luhn check: times in milliseconds, article numbers and device ids are distinguished by
their length, their prefix or the word before them."""

import re
from typing import Final

from logship.event.secrets.marks import mark

# The first digits of a scheme, from and to, and the lengths of its numbers (ISO/IEC 7812, the schemes' own documents).
SCHEMES: Final = (
    ("4", "4", (13, 16, 19)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),  # Mastercard
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),  # American Express
    ("300", "305", (14,)),  # Diners Club
    ("36", "36", (14,)),  # Diners Club
    ("38", "39", (14, 16)),  # Diners Club
    ("6011", "6011", (16, 19)),  # Discover
    ("644", "659", (16, 19)),  # Discover, RuPay
    ("3528", "3589", (16, 19)),  # JCB
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("2200", "2204", (16, 17, 18, 19)),  # Mir
    ("5018", "5018", (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("5020", "5020", (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("5038", "5038", (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("5893", "5893", (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("6304", "6304", (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("6759", "6763", (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("5066", "5067", (16,)),  # Elo
    ("6062", "6062", (16,)),  # Hipercard
    ("9792", "9792", (16,)),  # Troy
)
_LUHN_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_SEPARATORS: Final = " \\-+.\u00a0\u2009\u202f"
_DIGITS: Final = re.compile(rf"[0-9]{{3,}}+(?:[{_SEPARATORS}][0-9]{{3,}}+)*+(?:[{_SEPARATORS}][0-9]{{1,2}}(?![0-9]))?")
_GROUP: Final = re.compile(r"[0-9]+")
# Numbers of other standards, some of them with a Luhn check digit too.
_OTHER_NAMES: Final = (
    r"(?ai:(?<![A-Za-z])(?:imei|imeisv|imsi|iccid|ean|ean[_-]?13|gtin|gtin[_-]?1[234]|upc|isbn|issn|gln|sscc|barcode))"
)
_OTHER_NUMBER: Final = re.compile(rf"{_OTHER_NAMES}[\"']?[ \t]{{0,3}}[:=#]?[ \t]{{0,3}}[\"']?\Z")
_OTHER_NAME: Final = re.compile(rf"{_OTHER_NAMES}(?![a-z])")
# Longer than any name above with its separators.
_BEFORE_CHARACTERS: Final = 24

# The cheap test: every card number begins so.
may_hold_card: Final = re.compile(rf"[0-9]{{3}}[0-9{_SEPARATORS}]{{10}}").search


def hide_cards(text: str) -> str:
    """Return `text` with a mark in place of every card number: digits in one group, or in groups of four digits."""
    return _DIGITS.sub(_marked, text)


def is_card(digits: str) -> bool:
    """Return whether these digits are a valid number of a card scheme."""
    if not 13 <= len(digits) <= 19 or not any(
        first <= digits[: len(first)] <= last and len(digits) in lengths for first, last, lengths in SCHEMES
    ):
        return False
    if digits.count(digits[0]) == len(digits):
        return False
    numbers = [int(digit) for digit in reversed(digits)]
    return (sum(numbers[::2]) + sum(_LUHN_DOUBLED[number] for number in numbers[1::2])) % 10 == 0


def is_other_number(name: str) -> bool:
    """Return whether a field of this name holds a number of another standard: `device.imei`, `ean13`."""
    return _OTHER_NAME.search(name) is not None


def _marked(found: re.Match[str]) -> str:
    text, whole = found[0], found.string
    if len(text) < 13:
        return text
    groups = [(group.start(), group.end()) for group in _GROUP.finditer(text)]
    # Digits inside a longer word are part of an id in hexadecimal.
    if found.start() and whole[found.start() - 1].isalnum():
        del groups[0]
    if whole[found.end() : found.end() + 1].isalnum():
        del groups[-1:]
    if groups and _OTHER_NUMBER.search(whole[max(0, found.start() - _BEFORE_CHARACTERS) : found.start()]):
        del groups[0]
    pieces: list[str] = []
    done = first = 0
    while first < len(groups):
        last = _card_from(text, groups, first)
        if last < 0:
            first += 1
            continue
        pieces += (text[done : groups[first][0]], mark("card"))
        done, first = groups[last][1], last + 1
    return "".join((*pieces, text[done:]))


def _card_from(text: str, groups: list[tuple[int, int]], first: int) -> int:
    """Return the last group of the longest card number that begins with group `first`, -1 for none."""
    digits, best = "", -1
    for last in range(first, min(len(groups), first + 6)):
        start, end = groups[last]
        digits += text[start:end]
        if len(digits) > 19:
            break
        if is_card(digits):
            best = last
        if last == first and end - start != 4:
            break
    return best
