"""hypercorn: patched where it wraps the application's callable. Its workers do not handle SIGTERM, so logship does."""

import functools
import signal
import time
from types import ModuleType
from typing import Any

from logship.worker import registry
from logship.worker.import_hook import Patch
from logship.worker.server_info import ServerInfo
from logship.worker.servers import common

NAME = "hypercorn"
TERMINATED_SECONDS = 0.5


def _patch_wrapper(module: ModuleType) -> None:
    wrapper = module.ASGIWrapper
    init = wrapper.__init__

    @functools.wraps(init)
    def logged_init(self: Any, app: Any) -> None:
        for frame in common.frames():
            config = frame.f_locals.get("config")
            if type(config).__module__ == "hypercorn.config":
                common.remember(_info(config))
                break
        init(self, common.wrapped(app))

    wrapper.__init__ = logged_init


def _info(config: Any) -> ServerInfo:
    bind = (config.bind or [""])[0]
    if bind.startswith(("unix:", "fd:")):
        host, port, instance = bind, "", common.file_stem(bind)
    else:
        host, _, port = bind.rpartition(":")
        instance = port
    return ServerInfo(
        name=NAME,
        instance=instance,
        workers=config.workers or 1,
        reports_shutdown=True,
        host=host,
        port=int(port) if port.isdigit() else None,
    )


def handle_sigterm(_: object) -> None:
    """Close this worker on SIGTERM, with which hypercorn ends every worker that stops later than the others.

    A watcher of the event loop. A handler of the application stays."""
    pipeline = registry.existing()
    if pipeline is None or pipeline.server is None or pipeline.server.name != NAME:
        return
    try:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _terminate)
    except ValueError:  # not the main thread
        return


def _terminate(number: int, _: object) -> None:
    pipeline = registry.existing()
    if pipeline is not None and pipeline.shipper is not None:
        pipeline.close()
        until = time.monotonic() + TERMINATED_SECONDS
        while pipeline.journal.pending_events() and time.monotonic() < until:
            pipeline.journal.wake()
            time.sleep(0.005)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


PATCHES: dict[str, Patch] = {"hypercorn.app_wrappers": _patch_wrapper}
