"""gunicorn: its arbiter is the supervisor, and its own ASGI worker is patched where it runs, after the application's import."""

import functools
from types import ModuleType
from typing import Any

from logship.worker import internal_errors
from logship.worker.import_hook import Patch
from logship.worker.server_info import ServerInfo
from logship.worker.servers import common, supervisor


def is_worker(candidate: Any) -> bool:
    """Return whether `candidate` is a worker of gunicorn, of whatever class."""
    return hasattr(candidate, "cfg") and hasattr(candidate, "age")


def info(worker: Any, name: str, reports_shutdown: bool) -> ServerInfo:
    """Return what a worker reveals. `name`: of the server, with the class of the worker if it is another server's."""
    addresses = worker.cfg.address
    host, port = address = common.address_of(addresses[0] if addresses else "")
    return ServerInfo(
        name=name,
        instance=common.instance_name(address),
        workers=_worker_count(worker),
        reports_shutdown=reports_shutdown,
        host=host,
        port=port,
    )


def _worker_count(worker: Any) -> int:
    # SIGTTIN and SIGTTOU change the number in the arbiter, which has forked us and is on our stack.
    numbers = [getattr(caller, "num_workers", 0) for caller in common.callers()]
    return max(int(worker.cfg.workers), *(number for number in numbers if isinstance(number, int)), 0)


def _patch_arbiter(module: ModuleType) -> None:
    supervisor.mark(module.Arbiter)


def _patch_asgi_worker(module: ModuleType) -> None:
    worker = module.ASGIWorker
    run = worker.run

    @functools.wraps(run)
    def logged_run(self: Any) -> Any:
        try:
            common.remember(info(self, "gunicorn", reports_shutdown=True))
            self.asgi = common.wrapped(self.asgi)
        except Exception as error:
            internal_errors.report(error)
        return run(self)

    worker.run = logged_run


PATCHES: dict[str, Patch] = {
    "gunicorn.arbiter": _patch_arbiter,
    "gunicorn.workers.gasgi": _patch_asgi_worker,
}
