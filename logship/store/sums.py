"""Size and CRC-32 of a segment: Parquet pages have no checksum that DuckDB writes or verifies, so the store keeps its own.

Cost: about 1.2 ms a MiB, once for each segment and process."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PIECE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Sum:
    """What a file must be. Its text is `<bytes>:<crc32 in hexadecimal>`."""

    size_bytes: int
    crc32: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Read a whole file. OSError when it cannot be read."""
        size, crc32 = 0, 0
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                size += len(piece)
                crc32 = zlib.crc32(piece, crc32)
        return cls(size, crc32)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return what `str` made text of, None for any other text."""
        size, _, crc32 = text.partition(":")
        try:
            return cls(int(size), int(crc32, 16))
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.size_bytes}:{self.crc32:08x}"
