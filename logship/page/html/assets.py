"""The files of the page below `static/`: scripts, styles and icons, as they are on disk, each under a versioned address.

The version is a hash of all files together. Browsers keep a file of the current version forever."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).parents[1] / "static"
TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOREVER: Final = "private, max-age=31536000, immutable"
# All modules in one file; `LOGSHIP_BUNDLE=1 python -m build` makes it. Without it the browser loads the modules one by one.
BUNDLE: Final = "bundle.js"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file with its media type."""

    media_type: str
    body: bytes

    @property
    def packed(self) -> bytes:
        """The body compressed with gzip."""
        return _packed(self.body)


@cache
def _packed(body: bytes) -> bytes:
    # When it is first needed: compressing all files at the start would delay the first page.
    return gzip.compress(body, 9, mtime=0)


@cache
def assets() -> tuple[str, Mapping[str, Asset]]:
    """Return the version and all files by their path below `static/`. Reads them once per process."""
    files = [path for path in sorted(STATIC.rglob("*")) if path.suffix in TYPES]
    bodies = {path.relative_to(STATIC).as_posix(): path.read_bytes() for path in files}
    digest = hashlib.sha256(b"".join(f"{name} {len(body)} ".encode() + body for name, body in bodies.items()))
    return digest.hexdigest()[:16], {name: Asset(TYPES[Path(name).suffix], body) for name, body in bodies.items()}


def asset(version: str, name: str, encodings: str) -> tuple[bytes, dict[str, str]] | None:
    """Return body and headers of the file `name` for a client that accepts `encodings`; None if there is no such file.

    An outdated `version` gets the current file with no-store, so that a page loaded before an upgrade keeps working."""
    current, files = assets()
    file = files.get(name)
    if file is None:
        return None
    headers = {"content-type": file.media_type, "vary": "accept-encoding", "etag": f'"{current}"'}
    headers["cache-control"] = FOREVER if version == current else "no-store"
    if "gzip" in encodings:
        return file.packed, headers | {"content-encoding": "gzip"}
    return file.body, headers


def address(name: str) -> str:
    """Return the path of a file in URLs."""
    return f"/static/{assets()[0]}/{name}"


def has_bundle() -> bool:
    """Return whether all modules are there as one file."""
    return BUNDLE in assets()[1]
