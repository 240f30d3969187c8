"""logship: every ASGI worker logs one complete, structured event per request.

Public names are imported on first use, because the command line imports this package and needs none of them."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logship.errors import LogshipError
    from logship.settings import Settings
    from logship.worker.asgi.requestlog import RequestLog
    from logship.worker.capture.structlog import get_logger
    from logship.worker.configure import configure, flush, shutdown
    from logship.worker.metrics.asgi import metrics

__version__ = "0.1.0"

__all__ = [
    "LogshipError",
    "RequestLog",
    "Settings",
    "__version__",
    "configure",
    "flush",
    "get_logger",
    "metrics",
    "shutdown",
]

_MODULES = {
    "LogshipError": "errors",
    "RequestLog": "worker.asgi.requestlog",
    "Settings": "settings",
    "configure": "worker.configure",
    "flush": "worker.configure",
    "get_logger": "worker.capture.structlog",
    "metrics": "worker.metrics.asgi",
    "shutdown": "worker.configure",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'logship' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"logship.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
