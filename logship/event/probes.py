"""Which requests are a machine's question whether the service lives: counted, not logged one by one."""

import re
from collections.abc import Iterable
from typing import Final

# Probes read. A POST to the same path is somebody's request.
PROBING: Final = frozenset({"GET", "HEAD"})
_PATH_CHARACTERS = 1024


class Probes:
    """Paths of probes. In a pattern `*` stands for anything within one segment, and `/*` at its end for all below it."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._match = re.compile("|".join(map(_pattern, patterns)) or r"(?!)").fullmatch

    def match(self, path: str) -> bool:
        """Return whether `path` is a probe's; a slash at its end makes no difference."""
        return len(path) <= _PATH_CHARACTERS and self._match(path.rstrip("/") or "/") is not None


def _pattern(probe: str) -> str:
    below = probe.endswith("/*")
    base = probe[:-2] if below else probe.rstrip("/") or "/"
    return re.escape(base).replace(r"\*", "[^/]*") + ("/.+" if below else "")
