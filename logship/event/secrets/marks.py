"""The mark that replaces a secret: "[redacted:card]"."""

import re
from typing import Final

WHOLE: Final = "[redacted]"
MARK: Final = re.compile(r"\[redacted(?::[a-z-]+)?\]")


def mark(kind: str) -> str:
    """Return the mark of a kind of `redact.KINDS`."""
    return f"[redacted:{kind}]"


def is_mark(text: str) -> bool:
    """Return whether `text` is one mark, brackets or not."""
    return MARK.fullmatch(text) is not None or MARK.fullmatch(f"[{text}]") is not None
