"""Cutting texts and fields to a number of bytes. A mark in the text says how much was removed."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

# Room for the mark, "...[cut 1234 bytes]".
MARK_BYTES: Final = 40
# What msgpack adds to a name with its value, at most.
FIELD_BYTES: Final = 20
# How much more than the shown text the redactor reads. A secret is recognized by its beginning; for a URL the end of the
# user part must be included.
HEAD_MARGIN_CHARACTERS: Final = 1024


def redacted_head(text: str | bytes, limit: int, redact: Callable[[str], str]) -> str:
    """Return the first `limit` characters of `text`, redacted. Work is bounded by `limit`, whatever the text's length.

    Bytes are read as Latin-1, as HTTP headers are. The last characters before the cut of a longer text are left out,
    because a secret may extend across the cut."""
    window = limit + HEAD_MARGIN_CHARACTERS
    head = text[:window].decode("latin-1") if isinstance(text, bytes) else text[:window]
    shown = redact(head)
    return shown[: min(limit, max(0, len(shown) - HEAD_MARGIN_CHARACTERS))] if len(text) > window else shown[:limit]


def cut_text(text: str, limit_bytes: int, already_gone: int = 0) -> str:
    """Return `text` in at most `limit_bytes` of UTF-8; its end is replaced by a mark with the number of removed bytes.

    `already_gone`: characters that were removed before; then the mark is always set."""
    if not already_gone and len(text) <= limit_bytes and (text.isascii() or size_bytes(text) <= limit_bytes):
        return text
    encoded = text.encode("utf-8", "replace")
    kept = max(0, limit_bytes - MARK_BYTES)
    gone = max(0, len(encoded) - kept) + already_gone
    return f"{encoded[:kept].decode('utf-8', 'ignore')}...[cut {gone} bytes]"[: max(limit_bytes, 0)]


def cut_middle(text: str, limit_bytes: int) -> str:
    """Return `text` in at most `limit_bytes` of UTF-8: its head and, twice as long, its tail, with a mark between."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit_bytes:
        return text
    room = max(0, limit_bytes - MARK_BYTES)
    head, tail = encoded[: room // 3], encoded[len(encoded) - (room - room // 3) :]
    mark = f"\n...[cut {len(encoded) - room} bytes]\n"
    return f"{head.decode('utf-8', 'ignore')}{mark}{tail.decode('utf-8', 'ignore')}"[: max(limit_bytes, 0)]


def cut_to(
    labels: dict[str, str | bool], numbers: dict[str, int | float], budget_bytes: int
) -> tuple[dict[str, str | bool], dict[str, int | float], bool]:
    """Return the same fields in at most `budget_bytes` (names and values, packed), and whether anything was cut.

    The longest texts are shortened first, all to the same length; if that is not enough, the last fields are left out."""
    texts = {name: size_bytes(value) for name, value in labels.items() if isinstance(value, str)}
    fixed = sum(size_bytes(name) + FIELD_BYTES for name in (*labels, *numbers))
    if fixed + sum(texts.values()) <= budget_bytes:
        return labels, numbers, False
    labels, numbers = dict(labels), dict(numbers)
    while (labels or numbers) and fixed + sum(min(size, MARK_BYTES) for size in texts.values()) > budget_bytes:
        gone, _ = labels.popitem() if len(labels) >= len(numbers) else numbers.popitem()
        texts.pop(gone, 0)
        fixed -= size_bytes(gone) + FIELD_BYTES
    longest = _common_length(texts.values(), budget_bytes - fixed)
    return {name: _shorter(value, longest) for name, value in labels.items()}, numbers, True


def fit(fields: Mapping[str, object], packed_bytes: int, budget_bytes: int) -> dict[str, object]:
    """Return `fields`, which take `packed_bytes`, in about `budget_bytes`: the longest texts are shortened.

    This includes texts in maps and lists of one level. If other values alone are too large, collections are left out."""
    over = dict(fields)
    texts = [size for value in over.values() for size in _text_sizes(value)]
    rest = packed_bytes - sum(texts)
    if rest + MARK_BYTES * len(texts) > budget_bytes:
        over = {name: value for name, value in over.items() if not isinstance(value, (Mapping, list, tuple))}
        texts = [size for value in over.values() for size in _text_sizes(value)]
        rest = sum(FIELD_BYTES + len(name) for name in over)
    longest = max(_common_length(texts, budget_bytes - rest), 0)
    return {name: _cut_inside(value, longest) for name, value in over.items()}


def _text_sizes(value: object) -> list[int]:
    if isinstance(value, str):
        return [size_bytes(value)]
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return [size_bytes(text) for text in inside if isinstance(text, str)]


def _cut_inside(value: object, longest: int) -> object:
    if isinstance(value, str):
        return cut_text(value, longest)
    if isinstance(value, Mapping):
        return {name: cut_text(text, longest) if isinstance(text, str) else text for name, text in value.items()}
    if isinstance(value, (list, tuple)):
        return [cut_text(text, longest) if isinstance(text, str) else text for text in value]
    return value


def _shorter(value: str | bool, longest: int) -> str | bool:
    return cut_text(value, longest) if isinstance(value, str) else value


def _common_length(sizes: Iterable[int], room: int) -> int:
    """Return the greatest length to which all texts can be cut so that together they fit the room."""
    longest = room
    ordered = sorted(sizes)
    for left, size in zip(range(len(ordered), 0, -1), ordered, strict=True):
        longest = room // left
        if size > longest:
            break
        room -= size
    return longest


def safe_text(text: str) -> str:
    """Return `text` as a plain str that UTF-8 can hold: surrogate pairs joined, lone ones replaced."""
    text = str.__str__(text)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def size_bytes(text: str) -> int:
    """Return the length of `text` in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
