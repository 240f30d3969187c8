"""Takes secrets out of text: `login password=hunter2` becomes `login password=[redacted:password]`.

Three kinds of evidence: a name that promises a secret before a value (`event/names.py`), the look of the secret itself
(a JWT, a key with a known prefix, a card number that passes Luhn's check), and its place (the user part of a URL).
Everything is linear in the length of the text: no pattern can start twice inside one run of characters that it
may consume.

Redacting twice changes nothing. Nothing here raises. `suspicious` and `suspicious_text` are cheap and never say no
to a text that the redactor would change; tests/event/test_redact.py holds them to it.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final
from urllib.parse import quote, unquote, unquote_plus

from logship.event.names import IN_QUERIES, Names

# Every kind, for docs/privacy.md and for the marks: "[redacted:card]".
KINDS: Final[dict[str, str]] = {
    "authorization": "values of authorization headers, and `Bearer`, `Basic`, `Digest`, `Negotiate` with what follows",
    "password": "values named password, passwd, pwd, passphrase and the like",
    "token": "values named token, csrf, jwt and the like; `code` in the query of a URL",
    "api-key": "values named api key, access key, secret key, private key; keys of AWS, GitHub, GitLab, Slack, Stripe, "
    "OpenAI, Google, npm, PyPI, Hugging Face and SendGrid by their look",
    "cookie": "values of cookie and set-cookie headers, and of fields named cookie",
    "session": "values named session, session id, sid, PHPSESSID and the like",
    "signature": "signatures of signed URLs: values named signature, sig, hmac",
    "secret": "values named secret, credential, otp, pin, ssn and the like",
    "card": "card numbers of 13 to 19 digits that pass Luhn's check, and values named card number, cvv and the like",
    "jwt": "JSON web tokens by their look",
    "private-key": "private keys in PEM form",
    "url-credentials": "user and password in a URL",
    "named": "values of the names listed in `LOGSHIP_REDACT_NAMES`",
}

# A longer text is cut before it is read: its redaction would take too long.
TEXT_LIMIT_CHARACTERS = 2**20
# A secret is hardly longer than this.
CUT_MARGIN_CHARACTERS = 4096
# Each round takes out what an earlier one laid bare. A text that still changes after these is hostile: all of it goes.
_ROUNDS = 6
_DECODINGS = 3
_WHOLE = "[redacted]"

_PEM = re.compile(
    r"-----BEGIN[ +][A-Z0-9 +]{0,40}PRIVATE[ +]KEY[A-Z0-9 +]{0,20}-----"
    r"(?:[\s\S]*?-----END[ +][A-Z0-9 +]{0,40}PRIVATE[ +]KEY[A-Z0-9 +]{0,20}-----|[\s\S]*)"
)
# The user part ends at the last "@" before the path; a password with "/" in it is caught by the second form.
_USER = re.compile(r"(?<=://)(?:[^\s/?#\"'<>]*(?=@)|[^\s/?#@:\"'<>]{0,100}:(?!\d{1,5}[/?#])[^\s@\"'<>]{1,200}(?=@))")
_SCHEME = re.compile(r"(?ai:\b(bearer|basic|digest|negotiate)(?:[ \t]|\+)[ \t]{0,3})([A-Za-z0-9\-._~+/]{6,}=*)")
# Words that follow a scheme in prose.
_PROSE = frozenset(
    "authentication authorization authenticated credentials header headers information required scheme token".split()
)
_JWT = re.compile(r"(?<![\w\-])eyJ[\w\-]{5,}+\.[\w\-]{5,}+(?:\.[\w\-]*+){0,3}")
_KEYS = re.compile(
    r"(?:AKIA|ASIA)[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|xox[abeoprs]-[\w\-]{10,}|xapp-[\w\-]{10,}|AIza[\w\-]{30,}"
    r"|(?<![A-Za-z0-9])(?:sk-[\w\-]{16,}|[sr]k_(?:live|test)_\w{10,}|glpat-[\w\-]{16,}|npm_\w{30,}|hf_\w{20,}|pypi-[\w\-]{30,}"
    r"|SG\.[\w\-]{16,64}\.[\w\-]{16,64}|whsec_\w{16,}|shpat_\w{16,}|ya29\.[\w\-]{16,})",
    re.ASCII,
)
# A flag of a command line, or a name and what separates it from its value. The look-behind and the possessive
# quantifiers let a search begin only once in each run of name characters.
_NAME = re.compile(
    r"(?<![\w.\-])(?:(?P<flag>--[A-Za-z][\w.\-]*+)[ \t]{1,3}(?!-)"
    r"|(?P<name>[\w.\-]++)(?:\\{0,8}[\"'\]]){0,2}"
    r"(?:[ \t]{0,3}(?:=>|:=|={1,3}|:)[ \t]{0,3}|(?P<pair>,[ \t]?)(?=b?[\"'])))"
)
_PAIR_BEFORE = re.compile(r"[(\[]b?[\"']\Z")
_QUOTE = re.compile(r"[bBrRfFuU]{0,2}(?P<quote>\\{0,8}[\"'`])")
_QUOTES = re.compile(r"(?<!\\)\\*+[\"'`]")
_BRACKETS = re.compile(r"[\[\](){}]")
_BARE = re.compile(r"[^\s&\"'<>]+")
_LINE = re.compile(r"[^\r\n]+")
_AUTHORIZATION = re.compile(
    r"(?ai:bearer|basic|token|negotiate|apikey)[ \t]+[^\s\"',;&]+"
    r"|(?ai:digest|oauth|hawk|signature|aws4)[^\r\n]*"
    r"|[^\s&\"'<>]+"
)
_WORD_BEFORE = re.compile(r"([A-Za-z]{2,12})[ \t]\Z")
# What may stand for a value and tells nothing.
_TELLS_NOTHING = frozenset(
    "none null nil true false undefined missing required invalid expired empty absent str string int bytes bool".split()
)
_SOMETIMES = frozenset("auth card pass pin session sig signature".split())
_MARK = re.compile(r"\[redacted(?::[a-z-]+)?\]")
_CARD = re.compile(r"[0-9]{3,}+(?:[ \-+][0-9]{3,}+)*+(?:[ \-+][0-9]{1,2}(?![0-9]))?")
_FIRST_CARD = 10**12
_GROUP = re.compile(r"[0-9]+")
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

# The cheap tests. Digits: each card number begins so.
_DIGITS = re.compile(r"[0-9]{3}[0-9 \-+]{10}").search
_UNDERSCORED = re.compile(r"_(?<=[a-z]_)[A-Za-z0-9_]{10}").search
# Segments this short, of these characters, hold no name with a value, no known key, no card number.
_PLAIN_PATH = re.compile(rb"(?:/[A-Za-z0-9_.\-]{0,12}+)*+").fullmatch


def suspicious(path: bytes) -> bool:
    """Return False only if the redactor would leave `path` as it is; about 0.3 us for a usual path."""
    return _PLAIN_PATH(path) is None and suspicious_text(path.decode("latin-1"))


def suspicious_text(text: str) -> bool:
    """Return False only if the redactor would leave `text` as it is; below 1 us for a short message."""
    if len(text) < 13 and text.isalnum():
        return False
    if "=" in text or ":" in text or "%" in text or "--" in text or "eyJ" in text:
        return True
    if "," in text and ("'," in text or '",' in text):
        return True
    return _may_hold_key(text) or _DIGITS(text) is not None or _may_hold_scheme(text)


def _may_hold_key(text: str) -> bool:
    if "AIza" in text or "AKIA" in text or "ASIA" in text:
        return True
    if "." in text and ("SG." in text or "ya29." in text):
        return True
    if "-" in text and ("sk-" in text or "xox" in text or "glpat-" in text or "pypi-" in text or "xapp-" in text):
        return True
    return "_" in text and _UNDERSCORED(text) is not None


def _may_hold_scheme(text: str) -> bool:
    small = text.lower()
    return "bearer" in small or "basic" in small or "digest" in small or "negotiate" in small


class Redactor:
    """Takes secrets out of texts, URLs and fields. Holds only remembered answers; threads may share one.

    `extra_names`: names of fields whose values are secrets too, in any spelling (`customer_name`, `customerName`)."""

    def __init__(self, extra_names: Collection[str] = ()) -> None:
        self._kinds = Names(tuple(extra_names))

    def name_is_secret(self, name: str) -> bool:
        """Return whether the value of a field, header or parameter of this name has to be redacted whole."""
        return self._kinds[name] != ""

    def text(self, text: str) -> str:
        """Return `text` with "[redacted:kind]" in place of every secret; the same object if there is none."""
        if not suspicious_text(text):
            return text
        return self._thorough(text)

    def url(self, url: str) -> str:
        """Return a URL, path or query with its secrets redacted; a secret that was percent-encoded is found as well.

        Then the answer is decoded and encoded again, so that it holds no spaces and no control characters."""
        if not suspicious_text(url):
            return url
        clean = self._thorough(url)
        if clean == url:
            return url
        for _ in range(_ROUNDS):
            encoded = quote(clean, safe="/:?#[]@!$&'()*+,;=%~", errors="replace")
            clean = self._thorough(encoded)
            if clean == encoded:
                return clean
        return _WHOLE

    def query(self, query: str, allowed: Collection[str]) -> str:
        """Return the parameters of `query` whose names are allowed, redacted, in their order; the others are absent."""
        if not query or not allowed:
            return ""
        kept = []
        for part in query.replace(";", "&").split("&"):
            name, equals, _ = part.partition("=")
            plain = unquote_plus(name)
            if plain in allowed:
                kind = self._kinds[plain]
                kept.append(f"{name}=[redacted:{kind}]" if kind and equals else self.url(part))
        return "&".join(kept)

    def fields(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Return a copy of a record or of application fields, without secrets: by name, and by the look of the value.

        Maps and lists inside are followed. A number under a secret name becomes text, as does a card number."""
        try:
            return {self.text(name): self.value(name, value) for name, value in fields.items()}
        except Exception:  # noqa: BLE001 - a record must survive whatever its values do
            return {"redaction": _WHOLE}

    def value(self, name: str, value: object) -> object:
        """Return the value of one field as `fields` would; the same object if there is nothing to redact."""
        if kind := self._kinds[name]:
            return _hidden(kind, value)
        exact = type(value)
        if exact is str:
            return self.text(value)  # type: ignore[arg-type]
        if exact is int or exact is float:
            return value if value < _FIRST_CARD else _number(value)  # type: ignore[operator, arg-type]
        if isinstance(value, Mapping):
            return self.fields(value)
        if isinstance(value, (list, tuple)):
            return [self.value("", item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def _thorough(self, text: str) -> str:
        """Redact without the cheap test first."""
        try:
            if len(text) > TEXT_LIMIT_CHARACTERS:
                # What the cut left of a secret may not look like one any more: the end goes too.
                text = self._thorough(text[:TEXT_LIMIT_CHARACTERS])[:-CUT_MARGIN_CHARACTERS] + "[cut]"
            for _ in range(_ROUNDS):
                cleaner = self._once(text)
                if cleaner == text:
                    cleaner = self._decoded(text)
                    if cleaner == text:
                        return text
                text = cleaner
        except Exception:  # noqa: BLE001 - what cannot be read cannot be shown
            return _WHOLE
        return _WHOLE

    def _decoded(self, text: str) -> str:
        """Return `text` decoded and redacted if percent-encoding hid a secret, else `text` itself."""
        plain = text
        for _ in range(_DECODINGS):
            if "%" not in plain or (decoded := unquote(plain)) == plain:
                break
            plain = decoded
            if (cleaner := self._once(plain)) != plain:
                return cleaner
        return text

    def _once(self, text: str) -> str:
        if "PRIVATE" in text:
            text = _PEM.sub("[redacted:private-key]", text)
        if "://" in text:
            text = _USER.sub(_unless_marked("url-credentials"), text)
        if _may_hold_scheme(text):
            text = _SCHEME.sub(_scheme, text)
        if _may_hold_key(text):
            text = _KEYS.sub("[redacted:api-key]", text)
        if "eyJ" in text:
            text = _JWT.sub("[redacted:jwt]", text)
        text = self._named(text)
        return _CARD.sub(_cards, text) if _DIGITS(text) else text

    def _named(self, text: str) -> str:
        pieces: list[str] = []
        done = at = 0
        while found := _NAME.search(text, at):
            at = found.end()
            kind = self._kind_at(text, found)
            if not kind:
                continue
            start, at = _extent(text, found, kind)
            if not _tells_nothing(text[start:at]) and not _is_prose(found, text[start:at]):
                pieces += (text[done:start], f"[redacted:{kind}]")
                done = at
        return text if not pieces else "".join((*pieces, text[done:]))

    def _kind_at(self, text: str, found: re.Match[str]) -> str:
        """Return the kind of secret that the name just found promises, seen where it stands."""
        if flag := found["flag"]:
            return self._kinds[flag]
        name, start = found["name"], found.start()
        if found["pair"] and not _PAIR_BEFORE.search(text[max(0, start - 3) : start]):
            return ""
        kind = self._kinds[name]
        if kind or len(name) > len("assertion"):
            return kind
        if start and text[start - 1] in "?&;":
            return IN_QUERIES.get(name.lower(), "")
        # "API key: ..." is written with a space.
        before = (
            _WORD_BEFORE.search(text[max(0, start - 14) : start]) if name.lower() in {"key", "number", "id"} else None
        )
        return self._kinds[f"{before[1]}_{name}"] if before else ""


def _hidden(kind: str, value: object) -> object:
    if value is None or isinstance(value, bool) or (isinstance(value, str) and _tells_nothing(value)):
        return value
    return f"[redacted:{kind}]"


def _number(value: float) -> object:
    return "[redacted:card]" if value < 10**19 and _luhn(str(int(value))) else value


def _extent(text: str, found: re.Match[str], kind: str) -> tuple[int, int]:
    """Return where the value after a secret name begins and ends."""
    at = found.end()
    quoted = _QUOTE.match(text, at)
    if quoted:
        return quoted.end(), _closing_quote(text, quoted.end(), quoted["quote"])
    if text[at : at + 1] in {"[", "{", "("} and not _MARK.match(text, at):
        return at, _closing_bracket(text, at)
    pattern = _BARE
    if kind == "cookie":
        pattern = _LINE
    elif (found["name"] or "").lower().endswith("authorization"):
        pattern = _LINE if ":" in text[found.end("name") : at] else _AUTHORIZATION
    bare = pattern.match(text, at)
    end = bare.end() if bare else at
    # `-H "Cookie: a=b"`: the quote that opened before the name closes the value.
    before = text[found.start() - 1 : found.start()] if found.start() else ""
    if before and before in "\"'" and (closed := text.find(before, at, end)) >= 0:
        end = closed
    value = text[at:end].rstrip(" \t,;)}")
    return at, at + len(value if "[" in value else value.rstrip(" \t,;)}]"))


def _closing_quote(text: str, at: int, quote_mark: str) -> int:
    """Return where the text in quotes ends; a quote with more backslashes than the opening one belongs to the text."""
    for mark in _QUOTES.finditer(text, at):
        if mark[0][-1] == quote_mark[-1] and len(mark[0]) <= len(quote_mark):
            return mark.start()
    return len(text)


def _closing_bracket(text: str, at: int) -> int:
    depth = 0
    for bracket in _BRACKETS.finditer(text, at):
        depth += 1 if bracket[0] in "[({" else -1
        if depth == 0:
            return bracket.end()
    return len(text)


def _tells_nothing(value: str) -> bool:
    bare = value.strip(" \t,;()[]{}*\"'")
    return not bare or bare.lower() in _TELLS_NOTHING or _MARK.fullmatch(f"[{bare}]") is not None


def _is_prose(found: re.Match[str], value: str) -> bool:
    """Whether this is "auth: failed", a word that only sometimes names a secret and a word of prose."""
    name, between = found["name"] or "", found[0]
    return name.lower() in _SOMETIMES and between.endswith(": ") and value.islower() and value.isalpha()


def _unless_marked(kind: str) -> Callable[[re.Match[str]], str]:
    return lambda found: found[0] if not found[0] or _MARK.fullmatch(found[0]) else f"[redacted:{kind}]"


def _scheme(found: re.Match[str]) -> str:
    word = found[2]
    if word.lower() in _PROSE:
        return found[0]
    # "Basic" and the others are also words of prose; what they are followed by as schemes is base64, never plain words.
    if found[1].lower() != "bearer" and word.islower() and word.isalpha():
        return found[0]
    return found[0][: found.start(2) - found.start()] + "[redacted:authorization]"


def _cards(found: re.Match[str]) -> str:
    """Redact the card numbers in digits that stand in groups: one group, or four digits and more groups."""
    text = found[0]
    if len(text) < 13:
        return text
    groups = [(group.start(), group.end()) for group in _GROUP.finditer(text)]
    # Digits inside a longer word are part of an id in hexadecimal.
    if found.start() and found.string[found.start() - 1].isalnum():
        del groups[0]
    if found.string[found.end() : found.end() + 1].isalnum():
        del groups[-1:]
    pieces: list[str] = []
    done = first = 0
    while first < len(groups):
        last = _card_from(text, groups, first)
        if last < 0:
            first += 1
            continue
        pieces += (text[done : groups[first][0]], "[redacted:card]")
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
        if _luhn(digits):
            best = last
        if last == first and end - start != 4:
            break
    return best


def _luhn(digits: str) -> bool:
    """Whether these digits may be a card number. No card begins with other digits, but times in ns and many ids do."""
    if not 13 <= len(digits) <= 19 or digits[0] not in "23456":
        return False
    numbers = [int(digit) for digit in reversed(digits)]
    return (sum(numbers[::2]) + sum(_DOUBLED[number] for number in numbers[1::2])) % 10 == 0
