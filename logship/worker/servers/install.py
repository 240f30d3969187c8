"""All patches of servers, and of `logging.config`, which servers call after the application has configured logging."""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from logship.worker import event_loop, import_hook
from logship.worker.capture import install as capture
from logship.worker.import_hook import Patch
from logship.worker.servers import common, granian, gunicorn, hypercorn, uvicorn


def install(wrap: Callable[[Any], Any] | None = None) -> None:
    """Patch the servers. Idempotent. `wrap`: called with each application that they load; None leaves it as it was."""
    if wrap is not None:
        common.wrap_with(wrap)
    import_hook.add(PATCHES)
    if hypercorn.handle_sigterm not in event_loop.watchers:
        event_loop.watchers.append(hypercorn.handle_sigterm)


def _patch_logging_config(module: ModuleType) -> None:
    def then_reassert(configure: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(configure)
        def logged_configure(*args: Any, **kwargs: Any) -> Any:
            configure(*args, **kwargs)
            capture.reassert()

        return logged_configure

    module.DictConfigurator.configure = then_reassert(module.DictConfigurator.configure)
    module.fileConfig = then_reassert(module.fileConfig)  # type: ignore[attr-defined]


PATCHES: dict[str, Patch] = {
    "logging.config": _patch_logging_config,
    **uvicorn.PATCHES,
    **gunicorn.PATCHES,
    **granian.PATCHES,
    **hypercorn.PATCHES,
}
