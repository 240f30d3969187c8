"""Journals that crashed workers left in the state directory (orphans): finding them, and keeping them within the limit."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from logship.errors import JournalUnreadable, StateUnusable
from logship.state import journal_directory, orphans, survey
from logship.state.home import Home
from logship.state.orphans import Orphan
from logship.worker.pipeline import Pipeline

INTERVAL_SECONDS = 2.0

_logger = logging.getLogger("logship")


class OrphanFinder:
    """Finds and locks orphans in a state directory. A journal that cannot be read is reported once and then skipped."""

    def __init__(self, state: Home) -> None:
        self.state = state
        self._skipped: set[str] = set()
        self._trouble = ""

    def adopted(self, wanted: Callable[[Path], bool]) -> Iterator[tuple[str, Orphan]]:
        """Yield (name, adopted journal) of each orphan whose directory is `wanted`, oldest first.

        None, and one warning, if the state directory is unusable."""
        for name in self.state.incarnations():
            directory = self.state.journal(name)
            if name in self._skipped or survey.owner(directory) is not None:
                continue
            try:
                orphan = orphans.adopt(directory) if wanted(directory) else None
            except JournalUnreadable as error:
                self.skip(name, error)
                continue
            except StateUnusable as error:
                self._report(error)
                return
            if orphan is not None:
                yield name, orphan

    def _report(self, error: StateUnusable) -> None:
        if self._trouble != str(error):
            self._trouble = str(error)
            _logger.warning("journals of crashed workers are not adopted: %s", error)

    def skip(self, name: str, error: Exception) -> None:
        """Skip a journal from now on, and log why. It stays where it is, for `logship doctor`."""
        self._skipped.add(name)
        if self.state.journal(name).exists():  # else another worker has adopted and removed it in the meantime
            _logger.warning("cannot read the journal %s of a crashed worker; it is kept: %s", name, error)


class StateLimit:
    """A task of the shipping thread: keeps all journals within `state_limit_bytes`.

    Over the limit the oldest orphans are given up, of any service, whether or not an agent is reachable."""

    def __init__(self, pipeline: Pipeline, finder: OrphanFinder) -> None:
        self._pipeline = pipeline
        self._finder = finder

    def tick(self, now: float) -> float:
        with contextlib.suppress(OSError):  # removed in the meantime, or no descriptor is free: try again next time
            self._give_up_oldest()
        return INTERVAL_SECONDS

    def _give_up_oldest(self) -> None:
        state = self._finder.state
        sizes = {name: journal_directory.size_bytes(state.journal(name)) for name in state.incarnations()}
        limit_bytes = self._pipeline.settings.state_limit_bytes
        total_bytes = sum(sizes.values())
        if total_bytes <= limit_bytes:
            return
        for name, orphan in self._finder.adopted(Path.is_dir):
            if self._give_up(name, orphan, limit_bytes):
                total_bytes -= sizes.get(name, 0) - journal_directory.size_bytes(orphan.directory)
            if total_bytes <= limit_bytes:
                return

    def _give_up(self, name: str, orphan: Orphan, limit_bytes: int) -> bool:
        """Remove an orphan's events, count them as dropped, and log how many. False if the journal cannot be read."""
        try:
            events = orphan.give_up()
        except JournalUnreadable as error:
            self._finder.skip(name, error)
            return False
        finally:
            orphan.release()
        if events:
            _logger.warning(
                "journals in %s take more than %d bytes (LOGSHIP_STATE_LIMIT_BYTES): %d events of a crashed worker are dropped",
                *(self._finder.state.path, limit_bytes, events),
            )
        return True
