"""Values whose name is itself a value beside them: `{"name": "DB_PASSWORD", "value": "x"}`, `<add key="Password" value="x"/>`."""

import re
from typing import Final

from logship.event.names import Names
from logship.event.secrets.extent import value_after
from logship.event.secrets.values import tells_nothing

LABELS: Final = frozenset(
    "loc name key field header parameter param attribute property label type id variable env var".split()
)
_LABELLED: Final = re.compile(
    r"(?:[bu]?\\{0,8}[\"'])?(?P<name>[\w.\-\[\]]{1,80})(?:\\{0,8}[\"'])?[ \t\r\n]{0,8}[,; \t/\r\n]"
    r"[^{}\[\]<>()]{0,160}?(?ai:(?<![A-Za-z0-9_])(?:value|val|content|input|input_value|data|string)"
    r"(?:\\{0,8}[\"'])?[ \t]{0,8}[:=][ \t]{0,8})"
)
# An error of pydantic: `'loc': ('body', 'password'), 'msg': ..., 'input': 'x'`.
_LOCATED: Final = re.compile(
    r"[(\[](?P<path>[^()\[\]{}]{1,300})[)\]][^{}]{0,400}?(?:\\{0,8}[\"'])input(?:\\{0,8}[\"'])[ \t]?:[ \t]?"
)
_PART: Final = re.compile(r"[\w.\-]+")


def value_of(text: str, label: str, at: int, names: Names) -> tuple[int, int, str] | None:
    """Return begin, end and kind of the value of the secret name at `at`, after `label`; None if there is none."""
    if label == "loc":
        found = _LOCATED.match(text, at)
        name = (_PART.findall(found["path"]) or [""])[-1] if found else ""
    elif label.lower() in LABELS:
        found = _LABELLED.match(text, at)
        name = found["name"] if found else ""
    else:
        return None
    promise = names[name]
    if found is None or not promise.kind:
        return None
    start, end = value_after(text, found.end())
    return (start, end, promise.kind) if start < end and not tells_nothing(promise, name, text[start:end]) else None
