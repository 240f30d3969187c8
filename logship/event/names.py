"""Names of fields, headers, parameters and variables whose values are secrets: the table, and how a name is matched.

`userPassword`, `db.password`, `X-Api-Key` and `PGPASSWORD` are secrets; `tokens_used`, `token_count`, `author` are not.
"""

import re
from typing import Final, NamedTuple

from logship.event.secrets.formats import NAMED_AFTER


class Promise(NamedTuple):
    """What a name says about its value. `kind`: a key of `redact.KINDS`, "" for no secret; `word`: the matching word.

    With kind "", `word` may be a vendor in `formats.NAMED_AFTER`: a value with the format of that vendor is a secret.
    `sure` is False for a word with other meanings (`session`, `pin`): the value must then look like a secret too.
    `plural`: the value may be a number of secrets, as in `cookies: 3`."""

    kind: str
    word: str
    sure: bool = True
    plural: bool = False


# kind -> phrases; a phrase is one or more consecutive words of a name.
ANYWHERE: Final = {
    "password": "password passwords passwd passphrase passcode passwort kennwort pwd pass-word contraseña contrasena senha "
    "wachtwoord lösenord losenord salasana passord hasło haslo heslo mot-de-passe motdepasse mdp пароль 密码 パスワード "
    "dbpass userpass rootpass adminpass smtppass ftppass mailpass sshpass",
    "authorization": "authorization",
    "cookie": "cookie cookies",
    "token": "token jwt bearer csrf xsrf access-tokens refresh-tokens auth-tokens api-tokens",
    "api-key": "api-key api-keys access-key secret-key signing-key encryption-key account-key shared-key master-key "
    "subscription-key private-key private-keys ssh-key service-key storage-key auth-key session-key deploy-key license-key "
    "app-key application-key consumer-key host-key secret-id psk preshared-key pre-shared-key connection-string webhook-url",
    "session": "session-id session-token",
    "signature": "hmac",
    "card": "card-number credit-card debit-card cvv cvc security-code card-code",
    "secret": "secret secrets credential credentials otp totp mnemonic seed-phrase recovery-phrase ssn social-security "
    "recovery-code recovery-codes backup-code backup-codes verification-code one-time-code mfa-code fa-code tfa-code "
    "creds security-answer",
}
# The same, but only at the end of a name or before a word such as "number": elsewhere they have other meanings.
AT_THE_END: Final = {
    "authorization": "auth",
    "password": "pass pw",
    "session": "session sid sessid",
    "signature": "signature sig",
    "card": "card pan",
    "secret": "pin",
}
STILL_THE_END: Final = frozenset("code data digits hash header id key no num number raw text value".split())
# After one of the phrases, these words mean that the value is only a property of the secret: `password_length`, `token_type`.
HARMLESS: Final = frozenset(
    "age algorithm alg arn attempt attempts backend banner bits brand bucket budget bytes changed chars check checks class "
    "config consent correct count created dir disabled domain duration enabled encryption endpoint entropy error errors "
    "exempt exists expired expires expiry expiration failed failures field fields file filename flow form format generator "
    "hasher hint history httponly index issued issuer iterations jar kind last4 lastfour length len level lifetime limit "
    "limits manager match matches max middleware min mode model ms name names pattern path placeholder policy position "
    "present prompt protection provider ref regex remaining required requirements reset resets retries rotation rounds "
    "rules samesite scope scopes secure seconds settings size source state status store strategy strength suffix support timeout "
    "title total ttl type types updated url uri usage used valid validator validators verified version".split()
)
# Endings of words without a separator: "PGPASSWORD", "csrftoken", "PHPSESSID".
FUSED: Final = {
    **dict.fromkeys("password passwd passphrase passwort pwd".split(), "password"),
    **dict.fromkeys("token jwt".split(), "token"),
    **dict.fromkeys(
        "apikey accesskey secretkey privatekey accountkey authkey sessionkey signingkey encryptionkey consumerkey masterkey "
        "sharedkey servicekey deploykey".split(),
        "api-key",
    ),
    **dict.fromkeys("sessionid sessid".split(), "session"),
    **dict.fromkeys("creditcard cardnumber".split(), "card"),
    **dict.fromkeys("secret credential credentials".split(), "secret"),
    **dict.fromkeys("authorization".split(), "authorization"),
    **dict.fromkeys("cookie cookies".split(), "cookie"),
}
# In the query of a URL the values of these short names are secrets too.
IN_QUERIES: Final = {
    name: Promise(kind, name, sure=False)
    for name, kind in {"code": "token", "key": "api-key", "ticket": "token", "assertion": "token"}.items()
}
# Words with other meanings; `cookie` may also be a cookie banner or a setting.
UNSURE: Final = frozenset(
    "auth pass session sid sessid signature sig card pan pin hmac mnemonic cookie cookies".split()
)
PLURAL: Final = frozenset("passwords cookies secrets credentials private-keys api-keys".split())
# Beside the name of a vendor these words mean that the value is an id.
NOT_OF_VENDORS: Final = frozenset(
    "id ids request trace span event commit sha version hash digest checksum user client url host region org release etag".split()
)
NOTHING: Final = Promise("", "")

# Of a longer name the end is read, because the relevant word is there.
_NAME_CHARACTERS = 256
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+[0-9]*|[^\W\dA-Z_a-z]+")


def words(name: str) -> tuple[str, ...]:
    """Return the words of a name in lowercase: `X-Api-Key`, `apiKey` and `api.key` all contain "api", "key"."""
    return tuple(word.lower() for word in _WORD.findall(name[-_NAME_CHARACTERS:]))


def _phrases(table: dict[str, str]) -> dict[tuple[str, ...], str]:
    return {words(phrase): kind for kind, phrases in table.items() for phrase in phrases.split()}


_ANYWHERE: Final = _phrases(ANYWHERE)
_AT_THE_END: Final = _phrases(AT_THE_END)
_FUSED = re.compile(rf"\w({'|'.join(sorted(FUSED, key=len, reverse=True))})\d*\Z")
_BARE = re.compile(r"\d+\Z")


class Names(dict[str, Promise]):
    """Maps any name to its `Promise`. Caches results; thread-safe."""

    # Clients choose some of the names: the cache must be bounded.
    _REMEMBERED = 4096

    def __init__(self, extra_names: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._extra = {found for name in extra_names if (found := words(name))}

    def __missing__(self, name: str) -> Promise:
        answer = self._promise(words(name))
        if len(name) <= _NAME_CHARACTERS:
            if len(self) >= self._REMEMBERED:
                self.clear()
            self[name] = answer
        return answer

    def _promise(self, found: tuple[str, ...]) -> Promise:
        """Return the promise of the last matching phrase, which depends on the words after it."""
        for start in reversed(range(len(found))):
            for end in range(min(len(found), start + 5), start, -1):
                phrase, rest = found[start:end], found[end:]
                if phrase in self._extra:
                    return Promise("named", "")
                word = "-".join(phrase)
                kind = _ANYWHERE.get(phrase) or (_fused(phrase[0]) if len(phrase) == 1 else "")
                if kind and HARMLESS.isdisjoint(rest):
                    return Promise(kind, word, word not in UNSURE, word in PLURAL)
                if (kind := _AT_THE_END.get(phrase, "")) and STILL_THE_END.issuperset(rest):
                    # `db_pass` is a password, `pass` alone may be the third of many.
                    return Promise(kind, word, word == "pass" and start > 0)
        vendor = next((word for word in found if word in NAMED_AFTER), "")
        return Promise("", vendor) if vendor and NOT_OF_VENDORS.isdisjoint(found) else NOTHING


def _fused(word: str) -> str:
    bare = _BARE.sub("", word)
    if bare != word and (bare,) in _ANYWHERE:
        return _ANYWHERE[(bare,)]
    if bare in FUSED:
        return FUSED[bare]
    found = _FUSED.search(word)
    return FUSED[found[1]] if found else ""
