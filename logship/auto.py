"""`import logship.auto`: the one import. Configures from `LOGSHIP_*` and wraps the application that a server loads.

It never stops a service from starting: what is wrong is one warning, and the service runs with less logging or none."""

from logship.worker import configure as _root
from logship.worker import hooks as _hooks
from logship.worker.request import RequestLog as _RequestLog


def _wrap(app: object) -> object:
    return app if isinstance(app, _RequestLog) or not callable(app) else _RequestLog(app)


_root.configure_from_environment()
_hooks.install(_wrap)
