"""Values of secret names that are not secrets: `cookies: 3`, `pass: ok`, `password: str`."""

import re
from typing import Final

from logship.event.names import Promise
from logship.event.secrets.marks import is_mark

# Types and empty values: nobody's password.
_NO_VALUES: Final = frozenset(
    """none null nil true false undefined missing required optional invalid expired empty absent str string int integer bytes
    bool boolean float dict list any object secretstr on off yes no n/a unset redacted masked hidden filtered omitted""".split()
)
# States and algorithms: what people write about a secret. A password may be one of these, if it is not in prose.
_STATES: Final = frozenset(
    """ok okay enabled disabled enable valid present accepted rejected refreshed rotated revoked changed reset updated sent
    resent failed failure passed success successful denied granted unknown set new old started ended closed open opened active
    inactive created deleted destroyed removed verified unverified checked default auto automatic manual strict lax error found
    mismatch incorrect wrong correct pending anonymous public private bearer basic digest negotiate hs256 hs384 hs512 rs256
    rs384 rs512 es256 es384 es512 ps256 eddsa ed25519 rsa md5 sha1 sha256 sha384 sha512 sha-1 sha-256 sha-512 bcrypt scrypt
    argon2 argon2i argon2id pbkdf2 hmac-sha256 hmac-sha1 hmac-sha512 aes256 aes-256-gcm include omit same-origin""".split()
)
# `${DB_PASSWORD}`, `{{ password }}`, `%(password)s`, `<password>`, `$1`, `***`: a place for a value.
_PLACEHOLDER: Final = re.compile(
    r"\$\{[^{}]*\}?|\$\{\{[^{}]*\}\}|\{\{[^{}]*\}\}|\{[\w.:!]*\}|%\(\w+\)s|%[srd]"
    r"|\$\d{1,3}|\$[A-Z_]{3,}|%[A-Z_]{3,}%|<[\w .\-:]{1,60}(?:\[\])?>?|[\W_]+|[xX]{3,}"
)
# Code, as a stack trace shows it: `password=self.password`, `token=make_token(user)`.
_CODE: Final = re.compile(
    r"(?:self|cls|request|req|settings|config|cfg|conf|os|args|kwargs|options|data|form|payload|body|user|app|credentials"
    r"|params|event|env|environ|secrets)"
    r"(?:\.[A-Za-z_]\w*)+(?:[\[(][\w.,\s=\"'\[\]]*[\])]?)?"
    r"|[A-Za-z_][\w.]*\([\w.,\s=*]*\)?"
    r"|(?:Optional|Union|Annotated|list|dict)\[.*"
)
_UNIT: Final = re.compile(r"\d+(?:\.\d+)?(?:ns|us|ms|s|m|h|d|min|sec|hours?|days?|%|kb|mb|b)?")
_FORMAT_NAME: Final = re.compile(
    r"(?ai:base(?:16|32|58|64)|sha-?[0-9]|md5|utf-?(?:8|16)|oauth-?[12]|http/|http2|x509|[hrep]s256|rs512|p256|v[0-9])"
)
_DIGIT: Final = re.compile(r"\d")
_LOCALE: Final = re.compile(r"[A-Za-z]{1,15}|[A-Za-z]{2,3}[_\-][A-Za-z]{2,4}")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?")
_COUPON: Final = re.compile(r"[A-Z0-9\-]{1,9}")
_BARE: Final = " \t,;()[]{}*\"'`"


def tells_nothing(promise: Promise, name: str, value: str, prose: bool = False) -> bool:
    """Return whether `value`, of a name with this promise, is certainly not a secret.

    `prose`: it has no quotes and follows a colon and a space, so that it may be a sentence."""
    bare = value.strip(_BARE)
    small = bare.lower()
    if not bare or small in _NO_VALUES or is_mark(bare) or is_mark(value.strip()):
        return True
    if small in _STATES and (prose or promise.kind != "password"):
        return True
    if promise.kind == "password":
        if small == name.lower() or _PLACEHOLDER.fullmatch(value.strip()):
            # Not only signs: those may be a password.
            return any(one.isalnum() for one in bare) or len(bare) < 6
    elif small == name.lower() or _PLACEHOLDER.fullmatch(bare):
        return True
    if _CODE.fullmatch(value.strip(" \t,;")):
        return True
    if name.lower() in ("pwd", "oldpwd") and (bare[0] in "/~" or bare[1:3] == ":\\"):
        return True
    number = _UNIT.fullmatch(small) is not None
    if number and (promise.plural or (len(bare) <= 2 and promise.word not in ("otp", "totp", "cvv", "cvc"))):
        return True
    judge = _JUDGES.get(promise.word)
    return judge is not None and not promise.sure and judge(bare, number, prose)


def looks_random(value: str) -> bool:
    """Return whether a word after `password is` or in a column beside its name is a secret rather than a word."""
    bare = value.strip(_BARE + ".:!?")
    mixed = any(one.isdigit() for one in bare) and any(one.isalpha() for one in bare)
    return mixed and len(bare) >= 6 and _UNIT.fullmatch(bare.lower()) is None and _FORMAT_NAME.match(bare) is None


def _session(value: str, number: bool, prose: bool) -> bool:
    return value.isalpha() or (number and len(value) <= 6) or len(value) < 3 or _DATE.fullmatch(value) is not None


def _word(value: str, number: bool, prose: bool) -> bool:
    return value.isalpha() or (number and len(value) <= 3) or value.startswith("self,")


def _pass(value: str, number: bool, prose: bool) -> bool:
    return (number and (len(value) <= 3 or not value.isdigit())) or (prose and value.isalpha())


def _card(value: str, number: bool, prose: bool) -> bool:
    return len(_DIGIT.findall(value)) < 8


def _pin(value: str, number: bool, prose: bool) -> bool:
    return not (value.isdigit() and 4 <= len(value) <= 12)


def _phrase(value: str, number: bool, prose: bool) -> bool:
    return len(value.split()) < 6


def _cookie(value: str, number: bool, prose: bool) -> bool:
    if "=" in value:
        return False
    first = value.split(maxsplit=1)[0]
    return first.isalpha() or (_UNIT.fullmatch(first) is not None and len(first) <= 4)


def _code(value: str, number: bool, prose: bool) -> bool:
    if value.isdigit():
        return len(value) < 6
    return len(value) <= 3 or _LOCALE.fullmatch(value) is not None or _COUPON.fullmatch(value) is not None


def _key(value: str, number: bool, prose: bool) -> bool:
    return len(value) < 16 or not _DIGIT.search(value) or value.isdigit()


def _ticket(value: str, number: bool, prose: bool) -> bool:
    return len(value) < 16


# word that promised -> whether a value is harmless. Only for names that are not sure to hold a secret.
_JUDGES: Final = {
    "session": _session,
    "sid": _session,
    "sessid": _session,
    "auth": _word,
    "sig": _word,
    "signature": _word,
    "hmac": _word,
    "pass": _pass,
    "card": _card,
    "pan": _card,
    "pin": _pin,
    "mnemonic": _phrase,
    "cookie": _cookie,
    "cookies": _cookie,
    "code": _code,
    "key": _key,
    "assertion": _ticket,
    "ticket": _ticket,
}
