"""The keys that sign a chain: a file outside the store with one key a line, the newest first."""

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from logship.errors import SettingsError

LEAST_CHARACTERS = 32


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The first key signs, any of them verifies. Without keys a chain is not signed."""

    secrets: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.secrets)

    def sign(self, digest: str) -> str:
        """Return the HMAC-SHA256 of a digest in hexadecimal."""
        return _mac(self.secrets[0], digest)

    def signed(self, digest: str, mac: str) -> bool:
        """Return whether one of the keys made this signature."""
        return any(hmac.compare_digest(_mac(secret, digest), mac) for secret in self.secrets)


def _mac(secret: bytes, digest: str) -> str:
    return hmac.new(secret, digest.encode(), hashlib.sha256).hexdigest()


def read_keys(path: str) -> Keys:
    """Return the keys of a file, none for "". SettingsError if it cannot be read, is open to others, or has a short key."""
    if not path:
        return Keys()
    try:
        mode, lines = Path(path).stat().st_mode, Path(path).read_bytes().split()
    except OSError as error:
        raise SettingsError(f"LOGSHIP_INTEGRITY_KEY_FILE: {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise SettingsError(f"LOGSHIP_INTEGRITY_KEY_FILE: other users may read {path}; run: chmod 600 {path}")
    if not lines or min(map(len, lines)) < LEAST_CHARACTERS:
        make = f"(umask 077; openssl rand -hex 32 > {path})"
        raise SettingsError(f"LOGSHIP_INTEGRITY_KEY_FILE: {path} needs keys of {LEAST_CHARACTERS} characters: {make}")
    return Keys(tuple(lines))
