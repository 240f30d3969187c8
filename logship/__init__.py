"""logship: every worker of an ASGI service leaves a structured, complete account of each request.

A name of the front door is loaded when it is first asked for: the command line comes through here too, and needs none."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logship.errors import LogshipError
    from logship.settings import Settings
    from logship.worker.asgi.requestlog import RequestLog
    from logship.worker.capture.structlog import get_logger
    from logship.worker.configure import configure, flush, shutdown

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

_HOMES = {
    "LogshipError": "errors",
    "RequestLog": "worker.asgi.requestlog",
    "Settings": "settings",
    "configure": "worker.configure",
    "flush": "worker.configure",
    "get_logger": "worker.capture.structlog",
    "shutdown": "worker.configure",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'logship' has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"logship.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
