"""JSON lines as others write them: in several encodings, with byte order marks, with bad and too long lines."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from logship.cli.importing.faults import Faults

# A store accepts lines of a sixteenth of this; longer lines are not read into memory.
LINE_LIMIT_BYTES = 16 * 2**20
BOM = b"\xef\xbb\xbf"
# The longer marks first: that of UTF-32 begins like that of UTF-16.
_MARKS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def file_lines(path: Path, faults: Faults) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, record) of a file."""
    with path.open("rb") as lines:
        yield from stream_lines(lines, str(path), faults)


def stream_lines(
    stream: io.BufferedReader | BinaryIO, name: str, faults: Faults
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, record) of a stream; `name` is its name in faults."""
    for number, line in enumerate(_split(stream), 1):
        if line is None:
            faults.add(f"{name}, line {number} has more than {LINE_LIMIT_BYTES // 2**20} MiB")
            continue
        text = line.removeprefix(BOM)
        if not text.strip():
            continue
        try:
            record = _parsed(text)
        except orjson.JSONDecodeError as error:
            faults.add(f"{name}, line {number} is not JSON ({error})")
            continue
        if isinstance(record, dict):
            yield number, record
        else:
            faults.add(f"{name}, line {number} is {type(record).__name__}, not an object")


def _split(stream: io.BufferedReader | BinaryIO) -> Iterator[bytes | None]:
    """Yield the lines in UTF-8, None for a line that is too long."""
    start = stream.peek(4)[:4] if isinstance(stream, io.BufferedReader) else b""
    encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
    # Only the line ends of JSON lines count, not each of Unicode's separators.
    text = io.TextIOWrapper(stream, encoding, errors="replace", newline="\n") if encoding else None

    def read() -> bytes:
        return text.readline(LINE_LIMIT_BYTES).encode("utf-8", "replace") if text else stream.readline(LINE_LIMIT_BYTES)

    try:
        while line := read():
            if line.endswith(b"\n") or len(line) < LINE_LIMIT_BYTES:
                yield line
                continue
            while line and not line.endswith(b"\n"):
                line = read()
            yield None
    finally:
        if text:
            text.detach()  # the caller closes the stream


def _parsed(text: bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # Bytes of another encoding become U+FFFD, as in events that arrive over the network.
        replaced = text.decode("utf-8", "replace")
        if "\ufffd" not in replaced:
            raise
        return orjson.loads(replaced)
