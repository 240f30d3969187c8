"""Probe requests: health checks of machines. They are counted and not logged."""

import re
from collections.abc import Iterable
from typing import Final

# A POST to the same path is a request of a client.
PROBING: Final = frozenset({"GET", "HEAD"})
_PATH_CHARACTERS = 1024


class Probes:
    """The paths of probes. In a pattern `*` matches within one segment, and `/*` at the end matches everything below."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._match = re.compile("|".join(map(_pattern, patterns)) or r"(?!)").fullmatch

    def match(self, path: str) -> bool:
        """Return whether `path` is a probe path, with or without a slash at the end."""
        return len(path) <= _PATH_CHARACTERS and self._match(path.rstrip("/") or "/") is not None


def _pattern(probe: str) -> str:
    below = probe.endswith("/*")
    base = probe[:-2] if below else probe.rstrip("/") or "/"
    return re.escape(base).replace(r"\*", "[^/]*") + ("/.+" if below else "")
