"""Run at the start of every Python process under `logship run`: the environment's own sitecustomize, then logship's.

logship takes 0.2 s to import, and most child processes of a service are not servers: a tool, a compiler, a short script. So
it is imported together with a server (uvicorn, gunicorn, granian, hypercorn) or structlog, with the first log call of level
info or above, and when the program or a thread ends with an exception. Until then only modules are used that every Python
process has loaded.

It must never stop the program, whatever is wrong: the program then runs without logship."""

import os
import sys
from typing import Any

WAKING = {"uvicorn", "gunicorn", "granian", "hypercorn", "structlog"}
INFO = 20


def _chain() -> None:
    """Run the sitecustomize that this one hides, if there is one."""
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    here = os.path.dirname(os.path.abspath(__file__))
    others = [path for path in sys.path if os.path.abspath(path or ".") != here]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _wake() -> None:
    """Import logship, once. Another thread waits in the meantime, as for any import."""
    try:
        import logship.auto  # noqa: F401 - the import configures logship
    except Exception as error:  # noqa: BLE001 - see above
        if _Waiting.asleep:
            reason = f"{type(error).__name__}: {error}"
            sys.stderr.write(f"logship: cannot be imported by {sys.executable} ({reason}); this process runs without it\n")
    _Waiting.asleep = False


class _Waiting:
    """A finder that finds no module itself: it notices the import of those that need logship, and of the watched ones."""

    asleep = True

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if not self.asleep:
            return None
        if name in WAKING:
            _wake()
        elif name in WATCHED:
            for finder in sys.meta_path:
                spec = None if finder is self else finder.find_spec(name, path, target)
                if spec is not None and spec.loader is not None:
                    execute = spec.loader.exec_module

                    def executed(module: Any, execute: Any = execute) -> None:
                        execute(module)
                        WATCHED[name](module)

                    spec.loader.exec_module = executed  # type: ignore[method-assign]
                    return spec
        return None


def _wait_for_a_record(logging: Any) -> None:
    logger = logging.Logger
    enabled = logger.isEnabledFor
    least = 0 if os.environ.get("LOGSHIP_LEVEL", "").lower() == "debug" else INFO

    def is_enabled_for(self: Any, level: Any) -> Any:
        if level >= least:
            _wake()
            if logger.isEnabledFor is is_enabled_for:
                logger.isEnabledFor = enabled
        return enabled(self, level)

    logger.isEnabledFor = is_enabled_for


def _wait_for_a_thread_to_die(threading: Any) -> None:
    before = threading.excepthook

    def thread_died(dead: Any) -> None:
        threading.excepthook = before
        _wake()
        threading.excepthook(dead)

    threading.excepthook = thread_died


WATCHED = {"logging": _wait_for_a_record, "threading": _wait_for_a_thread_to_die}


def _died(kind: Any, error: Any, trace: Any) -> None:
    """Import logship when the program ends with an exception, so that this becomes an event."""
    sys.excepthook = sys.__excepthook__
    if issubclass(kind, Exception):
        _wake()
    sys.excepthook(kind, error, trace)


try:
    _chain()
finally:
    sys.meta_path.insert(0, _Waiting())
    for name, watch in WATCHED.items():
        if name in sys.modules:
            watch(sys.modules[name])
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _died
    if not WAKING.isdisjoint(sys.modules):
        _wake()
