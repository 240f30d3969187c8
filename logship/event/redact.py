"""Redaction of secrets in text: `login password=hunter2` becomes `login password=[redacted:password]`.

A secret is recognized by a name before it (`named`, `labels`, `forms`, `statements`), by its format (`tokens`, `cards`), by
its place in a URL (`urls`) or after a flag (`commands`): these are the modules of `event/secrets/`. Everything takes time
linear in the length of the text: no pattern can start twice within one run of characters that it may consume without limit.

Redaction is idempotent, and nothing here raises. `suspicious` and `suspicious_text` are cheap, and return True for every
text that the redactor would change (tests/event/test_redact.py).
"""

import re
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import quote

from logship.event.names import Names, Promise
from logship.event.secrets import commands, encoded, forms, named, statements, tokens, urls
from logship.event.secrets.cards import hide_cards, is_card, is_other_number, may_hold_card
from logship.event.secrets.marks import WHOLE, mark
from logship.event.secrets.values import tells_nothing

# Every kind with its description, for docs/privacy.md and for marks such as "[redacted:card]".
KINDS: Final[dict[str, str]] = {
    "authorization": "values of authorization headers, and `Bearer`, `Basic`, `Digest`, `Negotiate`, `ApiKey` with what follows",
    "password": "values named password, passwd, pwd, passphrase and the like, in other languages too; hashes of passwords "
    "(bcrypt, argon2, scrypt, PBKDF2, crypt); `IDENTIFIED BY 'x'`; passwords after `curl -u`, `mysql -p`, `sshpass -p`",
    "token": "values named token, csrf, jwt and the like; `code` and `ticket` in the query of a URL; what follows `/reset/`, "
    "`/verify-email/`, `/magic-link/` and the like in a path",
    "api-key": "values named api key, access key, secret key, private key; keys and tokens of about 120 vendors by their format "
    "(`logship/event/secrets/formats.py` lists them), and of 55 more beside the vendor's name",
    "cookie": "values of cookie and set-cookie headers, and of fields named cookie",
    "session": "values named session, session id, sid, PHPSESSID and the like",
    "signature": "signatures of signed URLs: values named signature, sig, hmac",
    "secret": "values named secret, credential, otp, pin, ssn, recovery code and the like",
    "card": "card numbers of 13 to 19 digits with the beginning and length of a card scheme that pass Luhn's check, and "
    "values named card number, cvv and the like",
    "jwt": "JSON web tokens, by their format",
    "private-key": "private keys in PEM form",
    "url-credentials": "user and password in a URL or before a host, `Host: user:password@host`",
    "parameters": "parameters of SQL statements as SQLAlchemy prints them, and rows that PostgreSQL rejected",
    "named": "values of the names listed in `LOGSHIP_REDACT_NAMES`",
}

# A longer text is cut first: its redaction would take too long.
TEXT_LIMIT_CHARACTERS = 2**20
# A secret is assumed not to be longer.
CUT_MARGIN_CHARACTERS = 4096
# Each round removes what the previous one uncovered. A text that still changes after the last one is hostile, and is removed.
_ROUNDS = 6

_PEM = re.compile(
    r"-----BEGIN[ +][A-Z0-9 +]{0,40}PRIVATE[ +]KEY[A-Z0-9 +]{0,20}-----"
    r"(?:[\s\S]*?-----END[ +][A-Z0-9 +]{0,40}PRIVATE[ +]KEY[A-Z0-9 +]{0,20}-----|[\s\S]*)"
)
_SCHEME = re.compile(r"(?ai:\b(bearer|basic|digest|negotiate|apikey)(?:[ \t]|\+)[ \t]{0,3})([A-Za-z0-9\-._~+/]{6,}=*)")
# Words that follow a scheme in prose.
_PROSE = frozenset(
    "authentication authorization authenticated credentials header headers information required scheme token".split()
)
_JWT = re.compile(r"(?<![\w\-])eyJ[\w\-]{5,}+\.[\w\-]{5,}+(?:\.[\w\-]*+){0,3}")
_FIRST_CARD = 10**12

# For the cheap tests: most texts consist of these characters only.
_NO_SIGNS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ./_\r\n!()*#+;,"
_NO_DIGITS = bytes(code for code in range(256) if not 0x30 <= code <= 0x39)
_CARD_DIGITS = 13
# So short segments of these characters contain no name with a value, no known key and no card number.
_PLAIN_PATH = re.compile(rb"(?:/[A-Za-z0-9_.\-]{0,12}+)*+").fullmatch


def suspicious(path: bytes) -> bool:
    """Return False only if the redactor would leave `path` as it is; about 0.3 us for a usual path."""
    return _PLAIN_PATH(path) is None and suspicious_text(path.decode("latin-1"))


def suspicious_text(text: str) -> bool:
    """Return False only if the redactor would leave `text` as it is; about 1 us for a short message."""
    if len(text) < 13 and text.isalnum():
        return False
    if "=" in text or ":" in text or "%" in text or "\\" in text:
        return True
    raw = text.encode("latin-1", "replace")
    signs = raw.translate(None, _NO_SIGNS)
    if signs and _may_be_between_signs(text, signs):
        return True
    if (" is " in text or " was " in text) and _may_promise(text):
        return True
    if statements.may_hold_rows(text):
        return True
    if len(raw.translate(None, _NO_DIGITS)) >= _CARD_DIGITS and may_hold_card(text):
        return True
    if _may_hold_scheme(text):
        return True
    if not tokens.may_hold_token(raw):
        return False
    return "eyJ" in text or next(tokens.tokens(text), None) is not None or urls.may_hold_link_token(text)


def _may_be_between_signs(text: str, signs: bytes) -> bool:
    """Return the result of the test for a text with other signs than those of prose; `signs`: those signs."""
    if b"-" in signs:
        if "--" in text or "->" in text or commands.may_hold_command(text):
            return True
        if not signs.strip(b"-"):
            return False
    if "'," in text or '",' in text or encoded.may_hide(text):
        return True
    if ("|" in text or "\t" in text or "'" in text or '"' in text) and _may_promise(text):
        return True
    if not text.isascii() and ("\uff1a" in text or "\uff1d" in text):
        return True
    return forms.may_hold_element(text) or statements.may_hold_parameters(text)


def _may_promise(text: str) -> bool:
    small = text.lower()
    return any(word in small for word in named.LOOSE_WORDS) or "passphrase" in small or "identified" in small


def _may_hold_scheme(text: str) -> bool:
    small = text.lower()
    return "bearer" in small or "basic" in small or "digest" in small or "negotiate" in small or "apikey" in small


class Redactor:
    """Removes secrets from texts, URLs and fields. Thread-safe.

    `extra_names`: additional names of fields whose values are secrets, in any spelling (`customer_name`, `customerName`)."""

    def __init__(self, extra_names: Collection[str] = ()) -> None:
        self._names = Names(tuple(extra_names))

    def text(self, text: str) -> str:
        """Return `text` with "[redacted:kind]" in place of every secret; the same object if there is none."""
        if not suspicious_text(text):
            return text
        return self._thorough(text)

    def url(self, url: str) -> str:
        """Return a URL, path or query with its secrets redacted, including percent-encoded ones.

        A redacted result is decoded and encoded again, so that it contains no spaces and control characters."""
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
        return WHOLE

    def fields(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Return a copy of the fields without secrets, which are recognized by name and by the format of the value.

        This includes nested maps and lists. The number under a secret name and a card number become text."""
        try:
            return {self.text(name): self.value(name, value) for name, value in fields.items()}
        except Exception:  # noqa: BLE001 - a record is kept even if its values raise
            return {"redaction": WHOLE}

    def value(self, name: str, value: object) -> object:
        """Return the redacted value of one field; the same object if there is nothing to redact."""
        promise = self._names[name]
        if promise.kind:
            return self._hidden(promise, name, value)
        if promise.word and isinstance(value, str) and tokens.is_vendors(promise.word, value):
            return mark("api-key")
        exact = type(value)
        if exact is str:
            return self.text(value)  # type: ignore[arg-type]
        if exact is int or exact is float:
            return value if value < _FIRST_CARD else _number(name, value)  # type: ignore[operator, arg-type]
        if isinstance(value, Mapping):
            return self.fields(value)
        if isinstance(value, (list, tuple)):
            return [self.value("", item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def _thorough(self, text: str) -> str:
        """Redact without the cheap test first."""
        try:
            if len(text) > TEXT_LIMIT_CHARACTERS:
                # A part of a secret before the cut may not be recognized: the end is removed too.
                text = self._thorough(text[:TEXT_LIMIT_CHARACTERS])[:-CUT_MARGIN_CHARACTERS] + "[cut]"
            for _ in range(_ROUNDS):
                cleaner = self._once(text)
                if cleaner == text:
                    cleaner = self._decoded(text)
                    if cleaner == text:
                        return text
                text = cleaner
        except Exception:  # noqa: BLE001 - what cannot be checked is not shown
            return WHOLE
        return WHOLE

    def _decoded(self, text: str) -> str:
        """Return `text` decoded and redacted if an encoding hid a secret, else `text` itself."""
        if encoded.may_hide(text):
            for plain in encoded.plain_forms(text):
                if (cleaner := self._once(plain)) != plain:
                    return cleaner
        return text

    def _once(self, text: str) -> str:
        if "PRIVATE" in text:
            text = _PEM.sub(mark("private-key"), text)
        if "@" in text:
            text = urls.hide_credentials(text)
        if _may_hold_scheme(text):
            text = _SCHEME.sub(_scheme, text)
        text = tokens.hide_tokens(text)
        if "eyJ" in text:
            text = _JWT.sub(mark("jwt"), text)
        if commands.may_hold_command(text):
            text = commands.hide_command_passwords(text)
        if may_hold_card(text):
            text = hide_cards(text)
        text = forms.hide_form_values(text, self._names)
        text = statements.hide_statement_values(text, self._names)
        text = named.hide_named(text, self._names)
        return urls.hide_link_tokens(text) if "/" in text else text

    def _hidden(self, promise: Promise, name: str, value: object) -> object:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (str, int, float)) and tells_nothing(promise, name, str(value)):
            return value if not isinstance(value, str) else self.text(value)
        if not promise.sure and isinstance(value, Mapping):
            # `card: {brand: visa, last4: 1111}`: the names inside decide.
            return self.fields(value)
        return mark(promise.kind)


def _number(name: str, value: float) -> object:
    return mark("card") if value < 10**19 and is_card(str(int(value))) and not is_other_number(name) else value


def _scheme(found: re.Match[str]) -> str:
    word = found[2]
    if word.lower() in _PROSE:
        return found[0]
    # "Basic" and the others are also words of prose; as schemes they are followed by base64, not by plain words.
    if found[1].lower() != "bearer" and word.islower() and word.isalpha():
        return found[0]
    return found[0][: found.start(2) - found.start()] + mark("authorization")
