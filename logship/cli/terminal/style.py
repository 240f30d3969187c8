"""Colours: what the terminal supports, and text painted in a style.

A style is a few words: "dim", "bold red", "208" (a number of the 256-colour palette)."""

import os
import sys
from functools import cache
from typing import Final

CODES: Final = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
# Styles of values that mean something wherever they occur.
VALUE_STYLES: Final = {
    "error": "red", "critical": "bold red", "warning": "yellow", "debug": "dim", "info": "dim",
    "crashed": "bold red", "interrupted": "bold red", "missing": "bold red", "conflict": "bold red",
    "duplicated": "bold red", "unknown": "yellow", "silent": "yellow",
    "complete": "green", "running": "green", "alive": "green", "stopped": "dim",
    "wrong": "bold red", "look": "yellow", "good": "green",
}  # fmt: skip


def paint(text: str, style: str) -> str:
    """Return the text in a style, or unchanged if stdout shows no colours or the style needs more than it has."""
    if not style or not text:
        return text
    colors = color_count()
    codes = [CODES.get(word) or f"38;5;{word}" for word in style.split()] if colors else []
    if not codes or (colors < 256 and any(";" in code for code in codes)):
        return text
    return f"\x1b[{';'.join(codes)}m{text}\x1b[0m"


@cache
def color_count() -> int:
    """Return 256 or 16 colours, or 0: in pipes, with NO_COLOR, and on terminals without colours."""
    terminal = os.environ.get("TERM", "").lower()
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or terminal in ("dumb", "unknown"):
        return 0
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") or terminal.endswith(("256color", "kitty")):
        return 256
    return 16


def status_style(status: object) -> str:
    """Return the style of an HTTP status."""
    if not isinstance(status, int):
        return ""
    return "bold red" if status >= 500 else "yellow" if status >= 400 else "green" if status >= 200 else ""
