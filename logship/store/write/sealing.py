"""Sealing: logs become Parquet segments."""

import logging
from pathlib import Path

import duckdb

from logship.store.chain.writer import Chain
from logship.store.files import log_name
from logship.store.lines import keep_lines, split
from logship.store.schema import no_rows, to_store
from logship.store.write.integrity import IntegrityCheck
from logship.store.write.parquet import SLICE_BYTES, convert, is_of_the_disk, publish, temporary, write_segment
from logship.store.write.superseded import Superseded

# Logs with larger rows than this, or with more bytes in total, are sealed one by one and in slices.
SEAL_ROW_BYTES = 4096
SEAL_BYTES = 64 * 2**20
# A log whose sealing fails this often is set aside, so that the logs after it are sealed.
SEAL_ATTEMPTS = 3

_logger = logging.getLogger("logship.store")


class Sealer:
    """Seals logs of one store. Belongs to one thread."""

    def __init__(self, directory: Path, superseded: Superseded, integrity: IntegrityCheck, chain: Chain) -> None:
        self._directory, self._superseded, self._integrity = directory, superseded, integrity
        self._chain = chain
        self._attempts: dict[int, int] = {}

    def seal(self, database: duckdb.DuckDBPyConnection, numbers: list[int]) -> list[int]:
        """Seal consecutive logs as one segment, or only the first if that is not possible. Return the sealed ones."""
        if self._seal_together(database, numbers):
            return numbers
        self._seal_one(database, numbers[0])
        return numbers[:1]

    def _seal_together(self, database: duckdb.DuckDBPyConnection, numbers: list[int]) -> bool:
        """Seal logs in one statement. False, and nothing done, if a line is damaged or the logs are too large."""
        logs = [self._directory / log_name(number) for number in numbers]
        try:
            lines = _sealable_lines(logs)
        except OSError:  # `_seal_one` finds out which log and why
            return False
        if lines is None:
            return False
        try:
            segment = write_segment(database, to_store(logs), self._directory, (numbers[0], numbers[-1]), rows_wanted=lines)
        except duckdb.Error as error:
            if is_of_the_disk(error):
                raise
            return False
        if segment is None:
            return False
        self._chain.sealed(segment)
        self._integrity.note_checked(segment)
        self._superseded.add(*logs)
        return True

    def _seal_one(self, database: duckdb.DuckDBPyConnection, number: int) -> None:
        """Seal one log. Lines that cannot be sealed are set aside, and after some attempts the whole log."""
        log = self._directory / log_name(number)
        try:
            good, bad = split(log.read_bytes())
        except FileNotFoundError:
            _logger.error("%s was removed before it was sealed: its events are lost", log)  # noqa: TRY400
            self._seal_no_rows(database, number)
            return
        except OSError as error:
            self._give_up(database, number, error)
            return
        try:
            self._convert(database, number, good, bad)
        except duckdb.Error as error:
            if is_of_the_disk(error):
                raise
            self._give_up(database, number, error)
            return
        self._superseded.add(log)

    def _convert(self, database: duckdb.DuckDBPyConnection, number: int, good: list[bytes], bad: list[bytes]) -> None:
        log, written = self._directory / log_name(number), temporary(self._directory, number, number)
        lines = len(good) + len(bad)
        try:
            bad += convert(database, good, written)
            if bad:
                kept = keep_lines(log, bad)
                unread = "%s: %d of %d lines could not be read and are kept in %s"
                _logger.error(unread, log, len(bad), lines, kept.name)
            self._chain.sealed(publish(database, written, (number, number)))
        finally:
            written.unlink(missing_ok=True)

    def _give_up(self, database: duckdb.DuckDBPyConnection, number: int, error: Exception) -> None:
        """Set a log aside after SEAL_ATTEMPTS failures; before that raise the error, so that sealing is retried."""
        self._attempts[number] = self._attempts.get(number, 0) + 1
        if self._attempts[number] < SEAL_ATTEMPTS:
            raise error
        log = self._directory / log_name(number)
        self._seal_no_rows(database, number)
        log.rename(log.with_suffix(".bad"))
        kept = "%s cannot be sealed: %s; it is kept as %s, and its events are missing in results"
        _logger.error(kept, log, error, log.with_suffix(".bad").name)

    def _seal_no_rows(self, database: duckdb.DuckDBPyConnection, number: int) -> None:
        segment = write_segment(database, no_rows(), self._directory, (number, number))
        assert segment is not None  # no number of rows was required
        self._chain.sealed(segment)


def _sealable_lines(logs: list[Path]) -> int | None:
    """The number of lines, None if a line is damaged or the logs are too large for one statement."""
    lines, size = 0, 0
    for log in logs:
        good, bad = split(log.read_bytes())
        lines, size = lines + len(good), size + sum(map(len, good))
        if bad or (len(logs) > 1 and size > SEAL_BYTES):
            return None
    return None if size > SLICE_BYTES and size > lines * SEAL_ROW_BYTES else lines
