"""`import logship.auto`: configures logship from `LOGSHIP_*` and wraps the application that a server loads in RequestLog.

It never stops a service from starting: an error is logged as a warning, and the service runs with less logging or none."""

from logship.worker.asgi.requestlog import RequestLog as _RequestLog
from logship.worker.configure import configure_from_environment as _configure
from logship.worker.servers.install import install as _install


def _wrap(app: object) -> object:
    return app if isinstance(app, _RequestLog) or not callable(app) else _RequestLog(app)


_configure()
_install(_wrap)
