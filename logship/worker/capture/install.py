"""Captures everything that logs in this process: stdlib logging, structlog, warnings, and uncaught exceptions."""

import contextlib
import logging
from collections.abc import Iterator

from logship.worker.capture import bound, log_call, stdlib, structlog, uncaught

_level: str | None = None
_installs = 0


def install(level: str) -> None:
    """Record log calls from `level` up. Idempotent: the last level counts, for existing loggers too."""
    global _level, _installs
    _level = level
    _installs += 1
    log_call.forget_names()
    structlog.install(level)
    bound.install()
    _log_to_stderr()
    stdlib.install(level)
    uncaught.install()


@contextlib.contextmanager
def at_level(level: str) -> Iterator[None]:
    """Record log calls from `level` up until the block ends, then restore the state before. An `install` in it stays."""
    global _level, _installs
    before, installs = _level, _installs
    install(level)
    try:
        yield
    finally:
        if _installs == installs + 1:
            if before is not None:
                install(before)
            else:
                _level = None
                stdlib.release()
            _installs = installs


def reassert() -> None:
    """Restore the level, because a server or the application may have configured logging. Before `install`: do nothing."""
    if _level is not None:
        stdlib.follow(_level)


def _log_to_stderr() -> None:
    """Make logship's own logger write to stderr, never into the pipeline that it reports about."""
    own = logging.getLogger(stdlib.OWN_LOGGER)
    if not own.handlers:
        stream = logging.StreamHandler()
        stream.setFormatter(logging.Formatter("logship: %(message)s"))
        own.addHandler(stream)
        own.setLevel(logging.INFO)
        own.propagate = False
