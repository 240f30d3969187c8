"""Settings: arguments override `LOGSHIP_*` environment variables, which override defaults.

`declaration` lists them, `values` checks their values, `loading` reads them."""

from logship.settings.declaration import (
    BY_NAME,
    LEVELS,
    MIB,
    OPTIONS,
    PREFIX,
    Option,
    Settings,
    as_text,
    environment_name,
    not_default,
    table,
)
from logship.settings.loading import INTERNAL, SERVICE_LINK, child_environment, inherited, load, no_color
from logship.settings.values import host_and_port, is_loopback

__all__ = [
    "BY_NAME",
    "INTERNAL",
    "LEVELS",
    "MIB",
    "OPTIONS",
    "PREFIX",
    "SERVICE_LINK",
    "Option",
    "Settings",
    "as_text",
    "child_environment",
    "environment_name",
    "host_and_port",
    "inherited",
    "is_loopback",
    "load",
    "no_color",
    "not_default",
    "table",
]
