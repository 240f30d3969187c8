"""Values after secret names in a text: `password=x`, `"userPassword": "x"`, `--db-password x`, `(b'cookie', b'x')`.

Spaces and one line break may stand between a name and its value (`password:\\n  x`). A name is matched only at the beginning
of a run of its characters, and each value is scanned once, which keeps the search linear."""

import re
from typing import Final

from logship.event.names import IN_QUERIES, NOTHING, Names, Promise
from logship.event.secrets import labels, tokens
from logship.event.secrets.extent import BARE, IN_QUERY, NEXT_LINE, plain_value, value_below
from logship.event.secrets.marks import mark
from logship.event.secrets.values import looks_random, tells_nothing

_NAME: Final = re.compile(
    r"(?<![\w.\-])(?:(?P<flag>--[A-Za-z][\w.\-]*+)(?:[ \t]++(?:\\\r?\n[ \t]*+)?)(?!-)"
    # What closes a name; that of a map may be the first part of a key, `('password', 'db'): 'x'`.
    r"|(?P<name>[\w.\-]++)(?:\\{0,8}[\"'`](?:,[^()\n]{0,120})?\)(?=[ \t]{0,3}:)|(?:\\{0,8}[\"'`\])}]|,(?=\))){0,3})"
    r"(?:[ \t\xa0]*+(?:=>|->|:=|={1,3}|:{1,2}|\uff1a|\uff1d)[ \t\xa0]*+"
    r"|(?P<pair>,[ \t]?)(?=b?[\"'])"
    r"|(?P<loose>[ ]{0,8}\|[ ]{0,8}|\t[ \t]*+|[ ](?:is|was)[ ])(?![=:|])"
    r"|(?P<said>[ \t]{1,3})(?=[bN]?[\"'])))"
)
_PAIR_BEFORE: Final = re.compile(r"[(\[]b?[\"']\Z")
# Names with one of these are found in prose and in columns as well, `the password is x1y2z3`, if the value looks random.
LOOSE_WORDS: Final = ("passw", "pwd", "token", "secret", "key")
_LOOSE_VALUE: Final = re.compile(r"(?:[bN]?[\"'])?(?P<value>[^\s\"'<>|]{6,200})")
# SQL: PASSWORD 'x'.
_SAID: Final = frozenset("password passwd passphrase".split())
_LINE: Final = re.compile(r"[^\r\n]+")
_AUTHORIZATION: Final = re.compile(
    r"(?ai:bearer|basic|token|negotiate|apikey|api-key|ssws|splunk|genie\w*|jwt|key)[ \t]+[^\s\"',;&]+"
    r"|(?ai:digest|oauth|hawk|signature|aws4)[^\r\n]*"
    r"|[^\s&\"'<>]+"
)
_PHRASE: Final = re.compile(r"[a-z]{3,12}(?:[ \t]+[a-z]{3,12}){5,30}")
_RESOURCE: Final = re.compile(r"\b(?:arn|urn|crn):[\w:\-/*.]{1,190}:\Z")
_WORD_BEFORE: Final = re.compile(r"([A-Za-z][A-Za-z\-]{1,19})[ \t]\Z")
_COMPLETED: Final = frozenset("key number id code phrase word".split())
_TOLD_BY_PLACE: Final = _COMPLETED | frozenset(IN_QUERIES) | labels.LABELS


def hide_named(text: str, names: Names) -> str:
    """Return `text` with a mark in place of every value after a secret name."""
    pieces: list[str] = []
    done = at = 0
    while found := _NAME.search(text, at):
        name = found["name"]
        if name is not None and names[name] is NOTHING and name.lower() not in _TOLD_BY_PLACE:
            # The key of a map may have another part: `('db', 'password'): 'x'`.
            at = found.end("name")
            continue
        value = _secret_at(text, found, names)
        at = max(value[1], found.end("name") if name else found.end())
        if value[2]:
            pieces += (text[done : value[0]], mark(value[2]))
            done = at
    return text if not pieces else "".join((*pieces, text[done:]))


def _secret_at(text: str, found: re.Match[str], names: Names) -> tuple[int, int, str]:
    """Return begin, end and kind of the value of the matched name; kind "" if it is not a secret."""
    promise, name, at = _promise_at(text, found, names), found["name"] or found["flag"], found.end()
    if not promise.kind:
        if value := labels.value_of(text, name, at, names):
            return value
        vendors = tokens.vendors_value(promise.word, text, at) if promise.word else None
        return (*vendors, "api-key") if vendors else (0, 0, "")
    if found["loose"]:
        loose = _LOOSE_VALUE.match(text, at)
        secret = loose is not None and _is_loose(name) and looks_random(loose["value"])
        return (*loose.span("value"), promise.kind) if loose and secret else (at, at, "")
    start, end = _value_at(text, found, promise)
    harmless = start >= end or tells_nothing(promise, name, text[start:end], prose=found[0].endswith(": "))
    return start, end, "" if harmless else promise.kind


def _is_loose(name: str) -> bool:
    small = name.lower()
    return any(word in small for word in LOOSE_WORDS)


def _promise_at(text: str, found: re.Match[str], names: Names) -> Promise:
    """Return the promise of the matched name in its context."""
    if flag := found["flag"]:
        return names[flag]
    name, start = found["name"], found.start()
    if found["said"]:
        return names[name] if name.lower() in _SAID else NOTHING
    if found["pair"] and not _PAIR_BEFORE.search(text[max(0, start - 3) : start]):
        return NOTHING
    # `arn:aws:...:secret:shop`: a path, not a name.
    if start and text[start - 1] == ":" and _RESOURCE.search(text[max(0, start - 200) : start]):
        return NOTHING
    promise = names[name]
    if promise.kind or len(name) > len("assertion"):
        return promise
    if start and text[start - 1] in "?&;":
        return IN_QUERIES.get(name.lower(), promise)
    # "API key: ..." is written with a space.
    before = _WORD_BEFORE.search(text[max(0, start - 21) : start]) if name.lower() in _COMPLETED else None
    return names[f"{before[1]}_{name}"] if before else promise


def _value_at(text: str, found: re.Match[str], promise: Promise) -> tuple[int, int]:
    """Return where the value of the matched name begins and ends."""
    at = found.end()
    if not (found["pair"] or found["said"] or found["flag"]) and (line := NEXT_LINE.match(text, at)):
        return value_below(text, line, promise.kind in ("cookie", "authorization"))
    start = found.start()
    pattern = IN_QUERY if start and text[start - 1] in "?&;" else BARE
    if promise.kind == "cookie":
        pattern = _LINE
    elif (found["name"] or "").lower().endswith("authorization"):
        pattern = _LINE if ":" in text[found.end("name") : at] else _AUTHORIZATION
    elif promise.word in ("mnemonic", "seed-phrase", "recovery-phrase") and (phrase := _PHRASE.match(text, at)):
        return phrase.span()
    # `-H "Cookie: a=b"`: the quote that opened before the name closes the value.
    before = text[start - 1 : start] if start else ""
    return plain_value(text, at, before if before and before in "\"'" else "", pattern)
