"""`import logship.auto`: the one import. Configures from `LOGSHIP_*` and wraps the application that a server loads."""

from logship.worker import configure as _root
from logship.worker import hooks as _hooks
from logship.worker.request import RequestLog as _RequestLog


def _wrap(app: object) -> object:
    return app if isinstance(app, _RequestLog) or not callable(app) else _RequestLog(app)


_root.configure()
_hooks.install(_wrap)
