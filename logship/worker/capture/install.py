"""Takes hold of everything that logs in this process: stdlib logging, structlog, warnings, and what nobody caught."""

import logging

from logship.worker.capture import bound, call, stdlib, structlog, uncaught

_level: str | None = None


def install(level: str) -> None:
    """Journal from `level` up. Twice does no harm: the last level holds, for loggers that exist as well."""
    global _level
    _level = level
    call.forget_names()
    structlog.install(level)
    bound.install()
    _speak()
    stdlib.install(level)
    uncaught.install()


def reassert() -> None:
    """Restore the level, because a server or the application may have configured logging. Before `install`: do nothing."""
    if _level is not None:
        stdlib.follow(_level)


def _speak() -> None:
    """Our own logger writes to stderr, and never into the pipeline that it talks about."""
    own = logging.getLogger(stdlib.OWN_LOGGER)
    if not own.handlers:
        stream = logging.StreamHandler()
        stream.setFormatter(logging.Formatter("logship: %(message)s"))
        own.addHandler(stream)
        own.setLevel(logging.INFO)
        own.propagate = False
