"""Records that the agent refuses while it accepts others: each is kept in a file beside the journals."""

import logging
import time
from pathlib import Path

from logship.state import aside
from logship.state.journal import Journal

_logger = logging.getLogger("logship")


class RefusedRecords:
    """Keeps refused records in `folder`. None: there is no state directory, and they are lost."""

    def __init__(self, journal: Journal, folder: Path | None) -> None:
        self._journal = journal
        self._folder = folder

    def __call__(self, record: bytes) -> None:
        """Keep a record of this process's journal, and count it as dropped."""
        self._journal.drop("refused")
        self.keep(record)

    def keep(self, record: bytes) -> None:
        """Keep a record that is counted elsewhere. Logs a warning; never raises."""
        result = "it is lost"
        if self._folder is not None:
            try:
                path = aside.keep(self._folder, f"{self._journal.incarnation}-{time.time_ns()}.msgpack", record)
                result = f"it is kept in {path}"
            except OSError as error:
                result = f"it could not be kept: {error.strerror}"
        _logger.warning("the agent refuses one record of %d bytes but accepts others; %s", len(record), result)
