"""logship: every worker of an ASGI service leaves a structured, complete account of each request."""

from logship.errors import LogshipError
from logship.settings import Settings
from logship.worker.configure import configure, flush, shutdown
from logship.worker.logs import get_logger
from logship.worker.request import RequestLog

__version__ = "0.1.0"

__all__ = [
    "LogshipError",
    "RequestLog",
    "Settings",
    "__version__",
    "configure",
    "flush",
    "get_logger",
    "shutdown",
]
