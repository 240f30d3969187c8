"""Loading settings: arguments override `LOGSHIP_*` variables, which override defaults.

The only module that reads the environment of the process, when a function is called and never at import."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from logship.errors import SettingsError
from logship.settings.declaration import BY_NAME, OPTIONS, PREFIX, Origin, Settings, environment_name
from logship.settings.values import checked, did_you_mean

# Variables for the tests of logship. They are not settings.
INTERNAL: Final = frozenset({"LOGSHIP_PROVE"})
TESTS: Final = "LOGSHIP_TEST_"
# Variables that Kubernetes sets in every container for services whose names begin with "logship".
SERVICE_LINK: Final = re.compile(
    r"LOGSHIP_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)

_logger = logging.getLogger("logship")
_warned: set[str] = set()


def load(
    arguments: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    ignored: Callable[[SettingsError], object] | None = None,
) -> Settings:
    """Return the settings. An argument that is None counts as not given; `environment` replaces that of the process.

    SettingsError for an unknown argument and for an invalid value. With `ignored`, the error about an environment variable
    is passed to it instead, and the default is used. A process logs one warning for each unknown `LOGSHIP_*` variable."""
    variables = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for name, value in (arguments or {}).items():
        if name not in BY_NAME:
            raise SettingsError(f"unknown setting {name!r}{did_you_mean(name, BY_NAME)}")
        if value is not None:
            values[name], origins[name] = checked(BY_NAME[name], value, name), "argument"
    for setting in OPTIONS:
        text = variables.get(environment_name(setting.name))
        # Compose files write X: ${X:-} for a variable that is not set. Only a list can be set and empty.
        if setting.name not in values and text is not None and (text.strip() or isinstance(setting.default, tuple)):
            try:
                values[setting.name] = checked(setting, text, environment_name(setting.name))
                origins[setting.name] = "environment"
            except SettingsError as error:
                if ignored is None:
                    raise
                ignored(error)
    _warn_of_unknown(variables)
    _fill_in(values, origins, variables)
    return Settings(**values, origins=origins)


def child_environment(changes: Mapping[str, str], environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a copy of the environment with `changes`, for a child process."""
    return {**(os.environ if environment is None else environment), **changes}


def inherited(name: str, environment: Mapping[str, str] | None = None) -> str:
    """Return the value of an environment variable that is not a setting; "" if it is not set."""
    return (os.environ if environment is None else environment).get(name, "")


def no_color() -> bool:
    """Return whether the user disabled colors: https://no-color.org."""
    return bool(os.environ.get("NO_COLOR"))


def _fill_in(values: dict[str, Any], origins: dict[str, Origin], variables: Mapping[str, str]) -> None:
    """Set the values that depend on the machine: the name of the service and the two directories."""
    if not values.get("service"):
        named = variables.get("OTEL_SERVICE_NAME") or _directory_name() or "service"
        values["service"] = named.encode("utf-8", "replace").decode()
    if not values.get("state_dir"):
        values["state_dir"] = _state_dir(variables)
        if variables.get("STATE_DIRECTORY"):
            origins["state_dir"] = "environment"
    if not values.get("store_dir"):
        values["store_dir"] = str(Path(values["state_dir"]) / "store")


def _directory_name() -> str:
    """Return the name of the working directory; "" if it was removed, for instance by a deployment."""
    try:
        return Path.cwd().name
    except OSError:
        return ""


def _state_dir(variables: Mapping[str, str]) -> str:
    if systemd := variables.get("STATE_DIRECTORY", ""):
        return systemd.split(":")[0]  # systemd lists all directories of StateDirectory=, separated by colons
    if os.geteuid() == 0:
        return "/var/lib/logship"
    if state := variables.get("XDG_STATE_HOME"):
        return str(Path(state) / "logship")
    try:
        home = variables.get("HOME") or str(Path("~").expanduser())
    except RuntimeError:  # the user of a container, without a name
        import tempfile  # only for this case: at the top it would slow down the start of every worker

        return str(Path(tempfile.gettempdir()) / f"logship-{os.geteuid()}")
    return str(Path(home) / ".local/state/logship")


def _warn_of_unknown(variables: Mapping[str, str]) -> None:
    known = {environment_name(name) for name in BY_NAME}
    unknown = sorted(
        name
        for name in variables
        if name.startswith(PREFIX)
        and not name.startswith(TESTS)
        and name not in known | INTERNAL | _warned
        and not SERVICE_LINK.fullmatch(name)
    )
    if unknown:
        _warned.update(unknown)
        listed = ", ".join(f"{name}{did_you_mean(name, known)}" for name in unknown)
        _logger.warning("ignoring unknown setting%s %s", "s" if len(unknown) > 1 else "", listed)
