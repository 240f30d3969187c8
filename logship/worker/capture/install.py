"""Captures everything that logs in this process: stdlib logging, structlog, warnings, and uncaught exceptions."""

import logging

from logship.worker.capture import bound, log_call, stdlib, structlog, uncaught

_level: str | None = None


def install(level: str) -> None:
    """Record log calls from `level` up. Idempotent: the last level counts, for existing loggers too."""
    global _level
    _level = level
    log_call.forget_names()
    structlog.install(level)
    bound.install()
    _log_to_stderr()
    stdlib.install(level)
    uncaught.install()


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
