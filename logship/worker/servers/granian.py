"""granian: its workers are patched where they wrap the application's callable, after the application's import."""

import functools
from types import ModuleType
from typing import Any

from logship.worker import registry
from logship.worker.import_hook import Patch
from logship.worker.server_info import ServerInfo
from logship.worker.servers import common

DEFAULT_PORT = 8000


def _patch_workers(module: ModuleType) -> None:
    wrap_call = module._asgi_call_wrap
    protocol = module.LifespanProtocol

    @functools.wraps(wrap_call)
    def logged_wrap(callback: Any, *args: Any, **kwargs: Any) -> Any:
        _begin()
        return wrap_call(common.wrapped(callback), *args, **kwargs)

    def logged_protocol(callback: Any) -> Any:
        _begin()
        return protocol(common.wrapped(callback))

    module._asgi_call_wrap = logged_wrap  # type: ignore[attr-defined]
    module.LifespanProtocol = logged_protocol  # type: ignore[attr-defined]


def _begin() -> None:
    for frame in common.frames():
        number = frame.f_locals.get("worker_id")
        if isinstance(number, int):
            server = _info(number)
            common.remember(server)
            if common.wraps_applications() and (pipeline := registry.current()) is not None:
                pipeline.serve(server)
            return


def _info(worker_number: int) -> ServerInfo:
    """Return what the command line reveals. `worker_number` counts from 1."""
    host, port = address = _address()
    return ServerInfo(
        name="granian",
        instance=common.instance_name(address),
        slot=worker_number - 1,
        reports_shutdown=True,
        host=host,
        port=port,
    )


def _address() -> common.Address:
    port, path = common.argument("--port"), common.argument("--uds")
    if path and not port:
        return path, None
    return common.argument("--host") or "127.0.0.1", int(port) if port.isdigit() else DEFAULT_PORT


PATCHES: dict[str, Patch] = {
    "granian.server.mp": _patch_workers,
    "granian.server.mt": _patch_workers,
}
