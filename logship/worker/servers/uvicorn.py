"""uvicorn: its server is patched at start-up and shutdown, its supervisor where it joins a worker process.

The application is imported in the middle of the server's own start; `Server.startup` runs after that import."""

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from logship.worker import event_loop, internal_errors, registry
from logship.worker.capture import install as capture
from logship.worker.import_hook import Patch
from logship.worker.server_info import ServerInfo
from logship.worker.servers import common, gunicorn, lifecycle, supervisor


def is_config(config: object) -> bool:
    """Return whether `config` is uvicorn's `Config`."""
    return type(config).__module__ == "uvicorn.config"


def client_left(send: Any) -> bool:
    """Return whether uvicorn knows that the client disconnected before the last byte: its `send` does not raise then."""
    return getattr(getattr(send, "__self__", None), "disconnected", False) is True


def info(config: Any, sockets: Sequence[Any]) -> ServerInfo:
    """Return what `config` and the listening `sockets` reveal. Under gunicorn's UvicornWorker, gunicorn's settings count."""
    for caller in filter(gunicorn.is_worker, common.callers()):
        return gunicorn.info(caller, "gunicorn (uvicorn)", reports_shutdown=True)
    host, port = address = _address(config, sockets)
    # A single process under --reload, or without --workers, has one slot.
    # uvicorn kills a replacement that is not ready in this time (SIGHUP); a worker that runs longer is additional (SIGTTIN).
    settle_seconds = getattr(config, "timeout_worker_healthcheck", 5) + 2.0
    return ServerInfo(
        name="uvicorn",
        instance=common.instance_name(address),
        workers=config.workers or 1,
        reports_shutdown=True,
        settle_seconds=settle_seconds,
        host=host,
        port=port,
    )


def _address(config: Any, sockets: Sequence[Any]) -> common.Address:
    if config.uds:
        return str(config.uds), None
    address = common.address_of_sockets(sockets)
    if address != ("", None):
        return address
    return ("", None) if config.fd is not None else (config.host, config.port)


def _patch_server(module: ModuleType) -> None:
    server = module.Server
    startup, shutdown = server.startup, server.shutdown

    @functools.wraps(startup)
    async def logged_startup(self: Any, sockets: Any = None) -> None:
        try:
            _begin(self.config, sockets or ())
        except Exception as error:
            internal_errors.report(error)
        await startup(self, sockets=sockets)
        if not self.started:
            lifecycle.stopping(self.config)

    @functools.wraps(shutdown)
    async def logged_shutdown(self: Any, sockets: Any = None) -> None:
        last = lifecycle.stopping(self.config)
        pipeline = registry.existing() if last else None
        if pipeline is not None:
            pipeline.begin_closing()
        await shutdown(self, sockets=sockets)
        if pipeline is not None:
            try:
                await lifecycle.close(pipeline)
            except Exception as error:
                internal_errors.report(error)

    server.startup, server.shutdown = logged_startup, logged_shutdown


def _begin(config: Any, sockets: Sequence[Any]) -> None:
    server = info(config, sockets)
    common.remember(server)
    lifecycle.started(config)
    config.loaded_app = common.wrapped(config.loaded_app)
    pipeline = registry.current() if common.wraps_applications() else registry.existing()
    if pipeline is not None:
        pipeline.serve(server)
        event_loop.watch(pipeline)
        capture.reassert()


def _patch_supervisor(module: ModuleType) -> None:
    process = module.Process
    join = process.join
    kills = supervisor.out_of_memory_kills()

    @functools.wraps(join)
    def logged_join(self: Any) -> None:
        nonlocal kills
        join(self)
        before, kills = kills, supervisor.out_of_memory_kills()
        supervisor.record_exit(self.process.pid, self.process.exitcode, kills > before)

    process.join = logged_join
    supervisor.mark(module.Multiprocess)


PATCHES: dict[str, Patch] = {
    "uvicorn.server": _patch_server,
    "uvicorn.supervisors.multiprocess": _patch_supervisor,
}
