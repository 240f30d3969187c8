"""Which calls belong to the application: not to Python, not to installed packages, not to logship.

An application that is itself installed as a package is known by the module of the endpoints that served its requests."""

import re
import sysconfig
from pathlib import Path
from typing import Final

from logship.worker.stalls.stack import Call, Stack

_PACKAGES: Final = re.compile(r"[/\\](?:site|dist)-packages[/\\]")
_HERE: Final = Path(__file__).resolve().parents[2]
# The example service is an application, although it comes with logship.
_DEMO: Final = str(_HERE / "demo")
# They run the application; a line of theirs is never the reason.
FRAMEWORKS: Final = frozenset(
    "anyio asgiref asyncio concurrent fastapi granian gunicorn hypercorn litestar logging quart runpy selectors sentry_sdk "
    "starlette structlog threading trio uvicorn uvloop uvicorn_worker opentelemetry ddtrace newrelic elasticapm".split()
)
DEBUGGERS: Final = frozenset("bdb pdb pydevd debugpy ipdb pudb remote_pdb web_pdb".split())


def _standard_library() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    named = {paths.get("stdlib", ""), paths.get("platstdlib", "")} - {""}
    return tuple(str(path) for name in named for path in {name, str(Path(name).resolve())})


class Application:
    """Tells the application's calls from others. Remembers its results; to be used by one thread."""

    def __init__(self) -> None:
        self._library = _standard_library()
        self._own: dict[str, bool] = {}
        self._packages: set[str] = set()

    def learn(self, endpoint: object) -> None:
        """Note that the package of this endpoint (a function or class, or None) belongs to the application."""
        module = getattr(endpoint, "__module__", None)
        package = module.partition(".")[0] if isinstance(module, str) else ""
        if package and package not in FRAMEWORKS | {"logship"}:
            self._packages.add(package)

    def culprit(self, stack: Stack) -> Call | None:
        """Return the innermost call of the application; without one, of a package; None if there are only frameworks."""
        for belongs in (self._is_own, self._is_package):
            for call in stack:
                if belongs(call):
                    return call
        return None

    def owns_any(self, stack: Stack) -> bool:
        """Return whether a call of the application is on the stack."""
        return any(map(self._is_own, stack))

    def _is_own(self, call: Call) -> bool:
        if call.file.startswith("<"):  # generated code, but also `python -c`
            return call.module == "__main__"
        own = self._own.get(call.file)
        if own is None:
            own = self._own[call.file] = self._is_own_file(call.file)
        return own or call.module.partition(".")[0] in self._packages

    def _is_own_file(self, file: str) -> bool:
        if file.startswith(_DEMO):
            return True
        return not (_PACKAGES.search(file) or file.startswith((*self._library, str(_HERE))))

    def _is_package(self, call: Call) -> bool:
        package = call.module.partition(".")[0]
        return bool(_PACKAGES.search(call.file)) and package not in FRAMEWORKS and not call.file.startswith(str(_HERE))


def is_debugger(stack: Stack) -> bool:
    """Return whether a debugger has stopped this thread."""
    return any(call.module.partition(".")[0].lstrip("_") in DEBUGGERS for call in stack)
