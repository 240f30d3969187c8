"""Which names of fields, headers, parameters and variables promise a secret: one table, and how a name is read.

`userPassword`, `db.password`, `X-Api-Key` and `PGPASSWORD` are secrets; `tokens_used`, `token_count`, `author` are not.
"""

import re
from typing import Final

# kind -> phrases; a phrase is one or more words of a name that stand together.
ANYWHERE: Final = {
    "password": "password passwords passwd passphrase passcode passwort kennwort pwd pass-word",
    "authorization": "authorization",
    "cookie": "cookie cookies",
    "token": "token jwt bearer csrf xsrf access-tokens refresh-tokens auth-tokens api-tokens",
    "api-key": "api-key api-keys access-key secret-key signing-key encryption-key account-key shared-key master-key "
    "subscription-key private-key private-keys ssh-key service-key storage-key auth-key session-key",
    "session": "session-id session-token",
    "signature": "hmac",
    "card": "card-number credit-card debit-card cvv cvc",
    "secret": "secret secrets credential credentials otp totp mnemonic seed-phrase ssn social-security",
}
# The same, but only at the end of a name or before a word such as "number": elsewhere they are harmless words.
AT_THE_END: Final = {
    "authorization": "auth",
    "password": "pass",
    "session": "session sid sessid",
    "signature": "signature sig",
    "card": "card pan",
    "secret": "pin",
}
STILL_THE_END: Final = frozenset("code data digits hash header id key no num number raw text value".split())
# After a secret word these say that only something about the secret is told: `password_length`, `token_type`.
HARMLESS: Final = frozenset(
    "age algorithm attempts brand budget bytes changed count created duration enabled endpoint error errors "
    "exists expired expires expiry expiration failed field fields form format hint issued kind last4 length len "
    "limit max min model ms name names policy present provider remaining required reset rotation rules scope "
    "scopes seconds size source status store strength total ttl type types url uri usage used valid verified "
    "version".split()
)
# Words in which a secret word hides without a border: "PGPASSWORD", "csrftoken", "PHPSESSID".
FUSED: Final = {
    **dict.fromkeys("password passwd passphrase passwort".split(), "password"),
    **dict.fromkeys("token jwt".split(), "token"),
    **dict.fromkeys("apikey accesskey secretkey privatekey accountkey".split(), "api-key"),
    **dict.fromkeys("sessionid sessid".split(), "session"),
    **dict.fromkeys("creditcard cardnumber".split(), "card"),
    **dict.fromkeys("secret credential credentials".split(), "secret"),
    **dict.fromkeys("authorization".split(), "authorization"),
    **dict.fromkeys("cookie cookies".split(), "cookie"),
}
# In the query of a URL these short names carry secrets too.
IN_QUERIES: Final = {"code": "token", "key": "api-key", "sig": "signature", "ticket": "token", "assertion": "token"}

# Longer names are read from their end, where the telling word stands.
_NAME_CHARACTERS = 256
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+[0-9]*|[^\W\dA-Z_a-z]+")


def words(name: str) -> tuple[str, ...]:
    """Return the words of a name in small letters: `X-Api-Key`, `apiKey` and `api.key` all hold "api", "key"."""
    return tuple(word.lower() for word in _WORD.findall(name[-_NAME_CHARACTERS:]))


def _phrases(table: dict[str, str]) -> dict[tuple[str, ...], str]:
    return {tuple(phrase.split("-")): kind for kind, phrases in table.items() for phrase in phrases.split()}


_ANYWHERE: Final = _phrases(ANYWHERE)
_AT_THE_END: Final = _phrases(AT_THE_END)
_FUSED = re.compile(rf"\w({'|'.join(sorted(FUSED, key=len, reverse=True))})\d*\Z")
_BARE = re.compile(r"\d+\Z")


class Names(dict[str, str]):
    """Maps any name to the kind of secret that it promises, "" for none. Remembers answers; threads may share one."""

    # Clients choose some of the names we are asked about: what is remembered must stay bounded.
    _REMEMBERED = 4096

    def __init__(self, extra_names: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._extra = {found for name in extra_names if (found := words(name))}

    def __missing__(self, name: str) -> str:
        answer = self._kind(words(name))
        if len(name) <= _NAME_CHARACTERS:
            if len(self) >= self._REMEMBERED:
                self.clear()
            self[name] = answer
        return answer

    def _kind(self, found: tuple[str, ...]) -> str:
        """The last secret word decides, read with the words after it."""
        for start in reversed(range(len(found))):
            for end in range(min(len(found), start + 5), start, -1):
                phrase, rest = found[start:end], found[end:]
                if phrase in self._extra:
                    return "named"
                kind = _ANYWHERE.get(phrase) or (_fused(phrase[0]) if len(phrase) == 1 else "")
                if kind and HARMLESS.isdisjoint(rest):
                    return kind
                if (kind := _AT_THE_END.get(phrase, "")) and STILL_THE_END.issuperset(rest):
                    return kind
        return ""


def _fused(word: str) -> str:
    bare = _BARE.sub("", word)
    if bare != word and (bare,) in _ANYWHERE:
        return _ANYWHERE[(bare,)]
    if bare in FUSED:
        return FUSED[bare]
    found = _FUSED.search(word)
    return FUSED[found[1]] if found else ""
