"""Checks for your own tests: that no secret leaves the process.

def test_a_failing_payment_tells_no_secrets(client, sink_path):
    client.post("/pay", headers={"authorization": PLANTED["authorization"]}, json={"note": plant("card")})
    assert_no_secrets(sink_path.read_bytes(), PLANTED.values())
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote

__all__ = ["PLANTED", "assert_no_secrets", "plant"]

# Kind of secret in docs/privacy.md -> a secret of that kind. None is real.
PLANTED: Final[Mapping[str, str]] = {
    "authorization": "dGhlLXVzZXI6dGhlLXBhc3N3b3Jk",
    "password": "correct-horse-7",
    "token": "t0k3n-of-nobody",
    "api-key": "AKIA" + "IOSFODNN7EXAMPLE",
    "cookie": "crumb-0f-n0body",
    "session": "s3ss10n-of-nobody",
    "signature": "5ig-0f-n0body",
    "secret": "wh1sper-of-nobody",
    "card": "4111 1111 1111 1111",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJlLW9mLW5vYm9keQ",
    "private-key": "MIIBnobodysKeyMaterial",
    "url-credentials": "ann:b3hind-the-scheme",
    "parameters": "p4rameter-of-nobody",
    "named": "Ann Nobody",
}

_PLACES: Final[Mapping[str, str]] = {
    "authorization": "they sent Basic {}",
    "password": "login with password={} failed",
    "token": 'the answer was {{"token": "{}"}}',
    "api-key": "uploading with {}",
    "cookie": "Cookie: theme=dark; crumb={}",
    "session": "GET /?session_id={}",
    "signature": "https://bucket.example/file?X-Amz-Signature={}&X-Amz-Date=20260101",
    "secret": "client_secret: {}",
    "card": "paid with {} today",
    "jwt": "checking {} now",
    "private-key": "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
    "url-credentials": "cannot reach postgres://{}@db.example/shop",
    "parameters": "[SQL: INSERT INTO users (name) VALUES (?)]\n[parameters: ('{}', 3)]",
    "named": "{{'customer_name': '{}'}}",
}


def plant(kind: str) -> str:
    """Return a realistic text that contains `PLANTED[kind]`; KeyError for an unknown kind.

    The kind "named" is a field `customer_name`, which is redacted only if `redact_names` lists it."""
    return _PLACES[kind].format(PLANTED[kind])


def assert_no_secrets(data: object, planted: Iterable[str]) -> None:
    """Raise AssertionError if a text of `planted` is anywhere in `data`: plain, percent-encoded, in JSON or base64.

    `data`: bytes, text, a mapping or any iterable, nested to any depth; keys are checked too. The error names the place and
    the first four characters of the secret, not all of it, because test output is kept. ValueError for an empty text in
    `planted`."""
    forms = [(secret, _forms(secret)) for secret in planted]
    if not all(secret for secret, _ in forms):
        raise ValueError("planted contains an empty text: remove it")
    for place, text in _texts(data, ""):
        for secret, encoded in forms:
            if any(form in text for form in encoded):
                raise AssertionError(f"the secret {secret[:4]}... is in {place or 'the data'}")


def _forms(secret: str) -> set[str]:
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {secret, quote(secret, safe=""), json.dumps(secret)[1:-1], encoded[: len(encoded) // 4 * 4]}


def _texts(data: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, str):
        yield place, data
    elif isinstance(data, (bytes, bytearray, memoryview)):
        yield place, bytes(data).decode("utf-8", "replace")
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from _texts(key, f"{place}, a key")
            yield from _texts(value, f"{place}.{key}".lstrip("."))
    elif isinstance(data, Iterable):
        for index, item in enumerate(data):
            yield from _texts(item, f"{place}[{index}]")
    else:
        yield place, str(data)
