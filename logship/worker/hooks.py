"""What knows the insides of servers and frameworks, and nothing else does.

For each server: where the loaded application is wrapped (`logship.auto`), what it says of its workers and address, and
when it begins to shut down. Patches wait for the server's module by an import hook; what is imported already is patched
at once. An application's module is imported in the middle of the server's own start, so every patch takes effect later
than that import: uvicorn at Server.startup, gunicorn's own worker at run, granian and hypercorn where they wrap the callable.
"""

import asyncio
import contextlib
import functools
import importlib.machinery
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from logship.event import build
from logship.worker import line as lines
from logship.worker.line import Line, LoopLag, Serving

FLUSH_SECONDS = 2.0
# What a supervisor, a service manager or a person at a terminal sends to stop a process.
ORDERLY = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
CGROUP_EVENTS = Path("/sys/fs/cgroup/memory.events")

_logger = logging.getLogger("logship")
_wrap: Callable[[Any], Any] | None = None
_known: Serving | None = None
_complained: set[type] = set()
_reassert: Callable[[], None] | None = None


def complain(error: Exception) -> None:
    """Say a mistake of ours on our own logger, each kind once; it is counted wherever it cost an event."""
    if type(error) not in _complained:
        _complained.add(type(error))
        _logger.warning("logship made a mistake that the request does not feel: %r", error, exc_info=error)


def install(wrap: Callable[[Any], Any] | None = None, reassert: Callable[[], None] | None = None) -> None:
    """Patch what is there and what will come. `wrap`: applied to each application that a server loads; without, only watch."""
    global _wrap, _reassert
    _wrap = wrap or _wrap
    _reassert = reassert or _reassert
    for name, patch in PATCHES.items():
        if name in sys.modules:
            _apply(patch, sys.modules[name])
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def reassert() -> None:
    """Make sure that the logging handlers are still ours: a server's or the application's dictConfig may have come since."""
    if _reassert is not None:
        _reassert()


def wrapped(app: Any) -> Any:
    """`app` as it should be served: with our RequestLog around it when `logship.auto` asked for that."""
    return app if _wrap is None or isinstance(app, type) else _wrap(app)


def watch_loop(line: Line) -> None:
    """Measure the lag of the running event loop from now on, and log its unhandled exceptions."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    line.lag = LoopLag(loop, line.revive)
    for watch in loop_watchers:
        watch(loop)


loop_watchers: list[Callable[[asyncio.AbstractEventLoop], None]] = []


async def finish(line: Line) -> None:
    """Journal the closing record and wait, off the loop, until all is acknowledged or two seconds are over."""
    line.closed()
    if line.shipper is not None:
        try:
            await asyncio.to_thread(line.shipper.flush, FLUSH_SECONDS)
        except RuntimeError:  # another kind of loop, or its threads have ended
            line.shipper.flush(FLUSH_SECONDS)


# Which servers of this process serve. The worker is closed when the last of them stops.

_open: set[int] = set()
os.register_at_fork(after_in_child=_open.clear)


def opened(server: object) -> None:
    """`server` serves from now on."""
    _open.add(id(server))


def stops(server: object) -> bool:
    """`server` begins to stop: return whether no other one serves."""
    _open.discard(id(server))
    return not _open


def server_of(scope: Mapping[str, Any]) -> tuple[object, bool]:
    """What stands for the server that runs this lifespan (its scope, if nothing else is known), and whether it insists
    on lifespan: an application that fails in it must then stop the server."""
    for caller in _callers():
        config = getattr(caller, "config", None)
        if type(config).__module__ == "uvicorn.config":
            return config, getattr(config, "lifespan", "") == "on"
        if _is_gunicorn(caller):
            return scope, getattr(caller.cfg, "asgi_lifespan", "") == "on"
    return scope, False


# What a server says of itself.


def serving(scope: Mapping[str, Any] | None) -> Serving:
    """What is known of the server that calls us. `scope`: of the first request, or None during lifespan."""
    if _known is not None:
        return _known
    for caller in _callers():
        if type(getattr(caller, "config", None)).__module__ == "uvicorn.config":
            return _uvicorn(caller.config, ())
        if _is_gunicorn(caller):
            return _gunicorn(caller, "gunicorn", lifespan=scope is None)
    address = (scope or {}).get("server") or ("", 0)
    return Serving("", str(address[1] or _safe_part(address[0]) or ""), None, None, tells_closing=scope is None)


def _frames(frame: FrameType | None) -> "list[FrameType]":
    found = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found


def _callers() -> list[Any]:
    """The `self` of each method that is being executed above us, the nearest first."""
    return [frame.f_locals["self"] for frame in _frames(sys._getframe(2)) if "self" in frame.f_locals]


def _is_gunicorn(worker: Any) -> bool:
    return hasattr(worker, "cfg") and hasattr(worker, "age")


def left(send: Any) -> bool:
    """Whether the server knows that the client has gone before the last byte: uvicorn's `send` itself does not tell."""
    return getattr(getattr(send, "__self__", None), "disconnected", False) is True


def _uvicorn(config: Any, sockets: Sequence[Any]) -> Serving:
    for caller in filter(_is_gunicorn, _callers()):
        return _gunicorn(caller, "gunicorn (uvicorn)", lifespan=True)
    instance = _safe_part(config.uds) or _port(sockets) or ("" if config.fd is not None else str(config.port))
    # A single process under --reload, or without --workers, has one slot.
    # A replacement that is not ready in this time is killed (SIGHUP); what lives longer is one more (SIGTTIN).
    settle_seconds = getattr(config, "timeout_worker_healthcheck", 5) + 2.0
    return Serving("uvicorn", instance, config.workers or 1, None, True, settle_seconds)


def _gunicorn(worker: Any, name: str, lifespan: bool) -> Serving:
    addresses = worker.cfg.address
    first = addresses[0] if addresses else ("", 0)
    instance = str(first[1]) if isinstance(first, tuple) else _safe_part(str(first))
    # The arbiter that forked us: SIGTTIN and SIGTTOU change its number only.
    numbers = [getattr(caller, "num_workers", 0) for caller in _callers()]
    workers = max(int(worker.cfg.workers), *(number for number in numbers if isinstance(number, int)), 0)
    return Serving(name, instance, workers, None, tells_closing=lifespan)


def _port(sockets: Sequence[Any]) -> str:
    for one in sockets:
        with contextlib.suppress(OSError):
            name = one.getsockname()
            return str(name[1]) if isinstance(name, tuple) else _safe_part(os.fsdecode(name))
    return ""


def _safe_part(path: object) -> str:
    return Path(str(path)).stem if path else ""


def _argument(name: str) -> str:
    after = [following for word, following in zip(sys.argv, sys.argv[1:], strict=False) if word == name]
    joined = [word.partition("=")[2] for word in sys.argv if word.startswith(name + "=")]
    return next(iter(after + joined), "")


def route(scope: MutableMapping[str, Any]) -> str | None:
    """The template of the route that matched, mounts included (`/shop/orders/{id}`); None before or without a match."""
    matched = scope.get("route")
    if matched is not None:
        template = getattr(matched, "path_format", None) or getattr(matched, "path", None)
    else:
        template = scope.get("path_template")  # Litestar
    if not isinstance(template, str):
        return None
    root = scope.get("root_path")
    if not root or template.startswith(root + "/"):
        return template
    # The server's own prefix is text, a mount's may hold parameters: `/shops/7` was mounted as `/shops/{shop}`.
    prefix = scope.get("app_root_path", root)
    return str(prefix) + _with_names(root[len(prefix) :], scope.get("path_params")) + template


def _with_names(mount: str, parameters: object) -> str:
    """A mount's path as it was declared: a segment that is the value of a path parameter becomes its name in braces."""
    if not mount or not isinstance(parameters, Mapping) or not parameters:
        return mount
    names = {str(value): f"{{{name}}}" for name, value in parameters.items()}
    return "/".join(names.get(part, part) for part in mount.split("/"))


# Where each server is taken hold of.


def _patch_uvicorn(module: ModuleType) -> None:
    server = module.Server
    startup, shutdown = server.startup, server.shutdown

    @functools.wraps(startup)
    async def logged_startup(self: Any, sockets: Any = None) -> None:
        global _known
        try:
            _known = _uvicorn(self.config, sockets or ())
            opened(self.config)
            self.config.loaded_app = wrapped(self.config.loaded_app)
            line = lines.current() if _wrap is not None or lines.existing() is not None else None
            if line is not None:
                line.serve(_known)
                watch_loop(line)
                reassert()
        except Exception as error:
            complain(error)
        await startup(self, sockets=sockets)
        if not self.started:
            stops(self.config)

    @functools.wraps(shutdown)
    async def logged_shutdown(self: Any, sockets: Any = None) -> None:
        line = lines.existing()
        last = stops(self.config)
        if line is not None and last:
            line.begin_closing()
        await shutdown(self, sockets=sockets)
        if line is not None and last:
            try:
                await finish(line)
            except Exception as error:
                complain(error)

    server.startup, server.shutdown = logged_startup, logged_shutdown


def _patch_uvicorn_supervisor(module: ModuleType) -> None:
    process = module.Process
    join = process.join
    oom_kills = _oom_kills()

    @functools.wraps(join)
    def logged_join(self: Any) -> None:
        nonlocal oom_kills
        join(self)
        now = _oom_kills()
        _report_exit(self.process.pid, self.process.exitcode, now > oom_kills)
        oom_kills = now

    process.join = logged_join
    _supervises(module.Multiprocess)


def _supervises(supervisor: Any) -> None:
    """What the process of `supervisor` says from its `run` on is the supervisor's, and passes through our handler."""
    run = supervisor.run

    @functools.wraps(run)
    def logged_run(self: Any, *given: Any, **named: Any) -> Any:
        lines.play("supervisor")
        reassert()
        return run(self, *given, **named)

    supervisor.run = logged_run


def _report_exit(pid: int | None, code: int | None, out_of_memory: bool) -> None:
    line = lines.existing()
    if line is None or code is None:
        return
    if code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
        how = f"was {'stopped' if -code in ORDERLY else 'killed'} by {name}"
    else:
        how = f"exited with status {code}"
    if out_of_memory:
        how += "; the control group counts a new out-of-memory kill"
    bad = code != 0 and -code not in ORDERLY
    fields = build.supervisor(f"worker process {pid} {how}", "error" if bad else "info", "logship.supervisor")
    fields["process.exit_code"] = code
    fields["numeric_labels"] = {"worker.pid": pid or 0}
    line.record(fields)


def _oom_kills() -> int:
    try:
        words = CGROUP_EVENTS.read_text(encoding="ascii").split()
        return int(words[words.index("oom_kill") + 1])
    except (OSError, ValueError, IndexError):
        return 0


def _patch_gunicorn_asgi(module: ModuleType) -> None:
    worker = module.ASGIWorker
    run = worker.run

    @functools.wraps(run)
    def logged_run(self: Any) -> Any:
        global _known
        try:
            _known = _gunicorn(self, "gunicorn", lifespan=True)
            self.asgi = wrapped(self.asgi)
        except Exception as error:
            complain(error)
        return run(self)

    worker.run = logged_run


def _patch_granian(module: ModuleType) -> None:
    wrap_call = module._asgi_call_wrap
    protocol = module.LifespanProtocol

    def note() -> None:
        global _known
        for frame in _frames(sys._getframe(1)):
            number = frame.f_locals.get("worker_id")
            if isinstance(number, int):
                instance = _argument("--port") or ("" if _argument("--uds") else "8000")
                _known = Serving("granian", instance or _safe_part(_argument("--uds")), None, number - 1, True)
                if _wrap is not None and (line := lines.current()) is not None:
                    line.serve(_known)
                return

    @functools.wraps(wrap_call)
    def logged_wrap(callback: Any, *rest: Any, **named: Any) -> Any:
        note()
        return wrap_call(wrapped(callback), *rest, **named)

    def logged_protocol(callback: Any) -> Any:
        note()
        return protocol(wrapped(callback))

    module._asgi_call_wrap = logged_wrap  # type: ignore[attr-defined]
    module.LifespanProtocol = logged_protocol  # type: ignore[attr-defined]


def _patch_hypercorn(module: ModuleType) -> None:
    wrapper = module.ASGIWrapper
    make = wrapper.__init__

    @functools.wraps(make)
    def logged_make(self: Any, app: Any) -> None:
        global _known
        for frame in _frames(sys._getframe(1)):
            config: Any = frame.f_locals.get("config")
            if type(config).__module__ == "hypercorn.config":
                bind = (config.bind or [""])[0]
                instance = bind.rpartition(":")[2] if not bind.startswith(("unix:", "fd:")) else _safe_part(bind)
                _known = Serving("hypercorn", instance, config.workers or 1, None, tells_closing=True)
                break
        make(self, wrapped(app))

    wrapper.__init__ = logged_make


def _patch_logging_config(module: ModuleType) -> None:
    def then_reassert(configure: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(configure)
        def logged_configure(*given: Any, **named: Any) -> Any:
            configure(*given, **named)
            reassert()

        return logged_configure

    module.DictConfigurator.configure = then_reassert(module.DictConfigurator.configure)
    module.fileConfig = then_reassert(module.fileConfig)  # type: ignore[attr-defined]


PATCHES: dict[str, Callable[[ModuleType], None]] = {
    "logging.config": _patch_logging_config,
    "uvicorn.server": _patch_uvicorn,
    "uvicorn.supervisors.multiprocess": _patch_uvicorn_supervisor,
    "gunicorn.arbiter": lambda module: _supervises(module.Arbiter),
    "gunicorn.workers.gasgi": _patch_gunicorn_asgi,
    "granian.server.mp": _patch_granian,
    "granian.server.mt": _patch_granian,
    "hypercorn.app_wrappers": _patch_hypercorn,
}


def _apply(patch: Callable[[ModuleType], None], module: ModuleType) -> None:
    if getattr(module, "_logship_patched", False):
        return
    try:
        patch(module)
        module._logship_patched = True  # type: ignore[attr-defined]
    except Exception as error:  # another version of the server: it runs without us, and this is said
        complain(error)


class _Finder:
    """Patches a server's module right after it was executed. (`importlib.abc` as a parent would take 3 ms to import.)"""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        patch = PATCHES.get(name)
        if patch is None:
            return None
        for finder in sys.meta_path:
            if isinstance(finder, _Finder):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                loader: Any = spec.loader
                execute = loader.exec_module

                def patched(module: ModuleType, execute: Any = execute, patch: Any = patch) -> None:
                    execute(module)
                    _apply(patch, module)

                loader.exec_module = patched
                return spec
        return None
