"""Reports logship's own errors on stderr without disturbing the application."""

import logging

_logger = logging.getLogger("logship")
_reported: set[type] = set()


def report(error: Exception) -> None:
    """Log an error of logship itself, each exception type once per process. An event that it cost is counted elsewhere."""
    if type(error) not in _reported:
        _reported.add(type(error))
        _logger.warning(
            "internal error; the application was not affected. Please report it: %r", error, exc_info=error
        )
