"""Exports to a file: it gets its name when it is complete."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from logship.cli.exporting.parquet import write_parquet
from logship.cli.exporting.text import Format, write_text
from logship.errors import QuestionError
from logship.search.query import Record

PRIVATE = 0o600  # as the files of the store


def write_file(pages: Iterable[list[Record]], names: Sequence[str], path: Path, form: Format) -> int:
    """Write the whole file or none, and return the number of values without a column. Devices and pipes are written directly.

    QuestionError if the file cannot be written."""
    path = path.resolve()  # the target of a link, not the link
    unfinished = path.with_name(f".{path.name}.part")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            return _write_device(pages, names, path, form)
        left_out = _write_unfinished(pages, names, unfinished, form)
        unfinished.chmod(PRIVATE)
        unfinished.replace(path)
    except OSError as error:
        raise QuestionError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return left_out


def _write_device(pages: Iterable[list[Record]], names: Sequence[str], path: Path, form: Format) -> int:
    if form == "parquet":
        raise QuestionError(f"{path} is not a regular file, which Parquet needs; use --format ndjson or csv")
    with path.open("wb") as device:
        return write_text(pages, names, device)


def _write_unfinished(pages: Iterable[list[Record]], names: Sequence[str], path: Path, form: Format) -> int:
    if form == "parquet":
        write_parquet(pages, path)
        return 0
    with path.open("wb") as file:
        return write_text(pages, names, file)
