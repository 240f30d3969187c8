"""The public functions of a worker: configure, flush, shutdown. They may be called from any thread."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from logship.errors import SettingsError
from logship.settings import BY_NAME, Settings, host_and_port, load
from logship.wire.address import has_address, parse_address
from logship.worker import assemble, exit_hooks, import_hook, registry
from logship.worker.capture import fluent, stdlib
from logship.worker.capture import install as capture
from logship.worker.metrics import application
from logship.worker.pipeline import Pipeline
from logship.worker.servers import install as servers

_logger = logging.getLogger("logship")
_settings: Settings | None = None
_lock = threading.Lock()


def configure(**arguments: object) -> Settings:
    """Capture the logging of this process and return the settings: arguments > `LOGSHIP_*` > defaults.

    May be called again at any time: the settings of the last call apply to later events and requests, and what that call
    does not give falls back to `LOGSHIP_*` and defaults. Only the journal's place (`state_dir`) and the slot that a serving
    worker has claimed (`workers`) stay. SettingsError names the nearest setting when one is unknown. Opens nothing: the
    journal is created with the first event, in the process that logs it."""
    settings = load(arguments)
    for name, check in CHECKS.items():
        check(getattr(settings, name))
    _install(settings)
    return settings


def configure_from_environment() -> None:
    """Configure from `LOGSHIP_*`, as `import logship.auto` does. Never raises: the service must start in any case.

    An invalid variable is reported in a warning, and its default is used."""
    try:
        settings = load(ignored=_warn_ignored)
        for name, check in CHECKS.items():
            try:
                check(getattr(settings, name))
            except SettingsError as error:
                _warn_ignored(error)
                default: dict[str, Any] = {name: BY_NAME[name].default}
                settings = replace(settings, **default)
        _install(settings)
    except Exception:
        _logger.warning("logship could not start; this process runs without it", exc_info=True)


def current_settings() -> Settings | None:
    """Return the settings of the last `configure` call; None before the first."""
    return _settings


def flush(deadline_seconds: float = 2.0) -> bool:
    """Wait until everything logged so far is acknowledged. False after the deadline: the events stay in the journal."""
    pipeline = registry.existing()
    return pipeline is None or pipeline.shipper is None or pipeline.shipper.flush(deadline_seconds)


def shutdown(deadline_seconds: float = 2.0) -> bool:
    """Record `worker-closed`, flush, and end the shipping thread. Return what `flush` returns.

    Later events stay in the journal until another process adopts it."""
    pipeline = registry.existing()
    if pipeline is None:
        return True
    pipeline.close()
    shipped = pipeline.shipper is None or pipeline.shipper.stop(deadline_seconds)
    pipeline.sample()
    return shipped


def _warn_ignored(error: SettingsError) -> None:
    _logger.warning("ignoring an invalid setting, its default is used: %s", error)


def _check_agent(agent: str) -> None:
    """SettingsError if `agent` is neither an address nor the name of a sink."""
    if agent == "file:":
        raise SettingsError("LOGSHIP_AGENT: 'file:' names no file: use file:PATH, e.g. file:/var/log/shop.ndjson")
    if has_address(agent):
        parse_address(agent)


def _check_metrics(metrics: str) -> None:
    """SettingsError if `metrics` is neither an address nor off."""
    if metrics != "off":
        host_and_port(metrics, "metrics")


# Settings whose values are checked beyond their type.
CHECKS: dict[str, Callable[[str], None]] = {"agent": _check_agent, "metrics": _check_metrics}


def _install(settings: Settings) -> None:
    global _settings
    with _lock:
        before, _settings = _settings, settings
        registry.install(partial(assemble.make_pipeline, settings))
        capture.install(settings.level)
        import_hook.add(fluent.PATCHES | application.PATCHES)
        servers.install()
        pipeline = registry.existing()
        if pipeline is not None and before != settings:
            _apply(pipeline, settings)
        if before is None:
            exit_hooks.at_exit(shutdown)


def _apply(pipeline: Pipeline, settings: Settings) -> None:
    """Apply another `configure` call in a process that has logged already. The journal stays; everything else changes."""
    before = pipeline.settings
    pipeline.apply(settings)
    if not settings.mute_access:
        stdlib.unmute_access()
    changed = any(getattr(before, name) != getattr(settings, name) for name in assemble.SHIPPER_SETTINGS)
    if changed and pipeline.shipper is not None:
        assemble.replace_shipper(pipeline)
