"""Every setting, once: name with unit, default, sentence. Arguments beat `LOGSHIP_*`, which beat defaults.

The only module that reads the process environment, and it does so when `load()` is called, never at import."""

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeVar

from logship.errors import SettingsError

T = TypeVar("T")
Group = Literal["worker", "collector", "cli", "elastic"]
Origin = Literal["argument", "environment", "default"]

PREFIX: Final = "LOGSHIP_"
MIB: Final = 2**20
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
# Said by one part of logship to another or by our own tests: no settings, and no reason to warn.
INTERNAL: Final = frozenset({"LOGSHIP_PROVE"})
TESTS: Final = "LOGSHIP_TEST_"
# What Kubernetes puts into every container for services whose names begin with "logship".
SERVICE_LINK: Final = re.compile(
    r"LOGSHIP_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)
WORDS: Final = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
KINDS: Final = {bool: "true or false", int: "a whole number", float: "a number", str: "text", tuple: "a list of texts"}
# 64MiB, 64Mi as Kubernetes writes it, 64M for short; 64MB is a million each.
UNITS: Final[dict[str, int]] = {"": 1, "b": 1} | {
    prefix + ending: int((10**3 if ending == "b" else 2**10) ** power)
    for power, prefix in enumerate("kmgt", 1)
    for ending in ("", "i", "b", "ib")
}
_QUANTITY: Final = re.compile(r"([+-]?\d+(?:_\d+)*)(\.\d+)?\s*([A-Za-z]*)")

# RFC 9110, section 5.6.2. The length is ours: the name is written into every answer.
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")
# A request id in one of these breaks the answer, or what reads it.
TAKEN_HEADERS: Final = frozenset(
    "connection content-encoding content-length content-type cookie date expect host keep-alive location "
    "proxy-authenticate proxy-authorization server set-cookie te traceparent tracestate trailer transfer-encoding "
    "upgrade user-agent vary www-authenticate authorization accept-encoding cache-control etag".split()
)

_logger = logging.getLogger("logship")
_warned: set[str] = set()


def option(
    default: T,
    sentence: str,
    *,
    secret: bool = False,
    group: Group = "worker",
    choices: tuple[str, ...] = (),
    most: float | None = None,
    tokens: bool = False,
) -> T:
    """One setting as a dataclass field; `most` is the largest number allowed, 0 is the least.

    `tokens`: its texts are names of HTTP headers or cookies."""
    facts = {
        "sentence": sentence,
        "secret": secret,
        "group": group,
        "choices": choices,
        "most": most,
        "tokens": tokens,
    }
    return field(default=default, metadata=facts)


class Option(NamedTuple):
    """One line of `logship settings`: the value is text, and a secret shows only as [set]."""

    name: str
    environment: str
    value: str
    origin: str
    sentence: str
    group: str
    default: str


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """What one process was told. Made by `load`, which also fills in the directories that depend on the machine."""

    service: str = option("", "Name of the service; empty: OTEL_SERVICE_NAME, else the working directory's name.")
    version: str = option("", "Version of the service.")
    environment: str = option("", "Where the service runs: production, staging, ...")
    instance: str = option("", "Tells instances of one service on one host apart; empty: the bind address.")
    agent: str = option(
        "127.0.0.1:24224",
        "Where events go: HOST:PORT, tls://HOST:PORT, unix:///PATH, stdout, file:PATH, console or off.",
    )
    agent_shared_key: str = option("", "Shared key of the Forward handshake with the agent.", secret=True)
    agent_user: str = option("", "User name for the agent, where it asks for one.")
    agent_password: str = option("", "Password for the agent, where it asks for one.", secret=True)
    agent_ca_file: str = option("", "Certificates that vouch for a tls:// agent; empty: the system's.")
    state_dir: str = option(
        "",
        "Journals and slots; empty: systemd's STATE_DIRECTORY, else /var/lib/logship (root) or ~/.local/state/logship.",
    )
    journal_limit_bytes: int = option(64 * MIB, "Bytes of events a worker keeps while the agent is away.")
    state_limit_bytes: int = option(1024 * MIB, "Bytes all journals together may take; the oldest orphan goes first.")
    level: str = option("info", "The least level that is kept.", choices=LEVELS)
    sample_ratio: float = option(1.0, "Share of requests kept; errors and slow requests are always kept.", most=1)
    slow_seconds: float = option(1.0, "From this duration on a request is slow, and never sampled out.")
    probes: tuple[str, ...] = option(
        (
            "/health",
            "/health/live",
            "/health/liveness",
            "/health/ready",
            "/health/readiness",
            "/health/startup",
            "/healthz",
            "/livez",
            "/readyz",
            "/startupz",
            "/metrics",
            "/ping",
        ),
        "Paths whose GET and HEAD requests are counted in the heartbeat, not logged; "
        "* stands for one segment or a part of it, /* at the end for all below.",
    )
    client_ip: str = option(
        "on", "Client addresses: whole, cut to their network, or not at all.", choices=("on", "truncated", "off")
    )
    allow_headers: tuple[str, ...] = option((), "Request headers whose values may be logged.", tokens=True)
    allow_query: tuple[str, ...] = option((), "Query parameters whose values may be logged.")
    allow_cookies: tuple[str, ...] = option((), "Cookies whose values may be logged.", tokens=True)
    redact_names: tuple[str, ...] = option((), "Names of further fields whose values are never logged.")
    request_id_header: str = option("x-request-id", "Header that brings a request's id and returns it.", tokens=True)
    workers: int = option(0, "Number of workers; 0: ask the server.")
    heartbeat_seconds: float = option(10.0, "Seconds between two heartbeats of a worker.")
    ack_timeout_seconds: float = option(5.0, "Seconds to wait for the agent's acknowledgement before sending again.")
    console: str = option("auto", "Pretty lines on stderr; auto: when it is a terminal.", choices=("auto", "on", "off"))
    capture_fluent: bool = option(
        False, "Journal what fluent-logger's senders and handlers of this process emit, instead of sending it."
    )
    mute_access: bool = option(True, "Silence uvicorn.access once the agent has acknowledged an event.")

    store_dir: str = option(
        "", "Where the collector keeps events; empty: store in the state directory.", group="collector"
    )
    forward: str = option("127.0.0.1:24224", "Where the collector listens for events; off: nowhere.", group="collector")
    http: str = option("127.0.0.1:24280", "Where the collector answers questions; off: nowhere.", group="collector")
    unix: str = option("", "Path of a unix socket to listen on as well.", group="collector")
    retention_days: float = option(30.0, "Days events are kept; 0: for ever.", group="collector")
    retention_bytes: int = option(0, "Bytes the store may take; 0: no limit.", group="collector")
    retention_disk_percent: float = option(
        20.0, "Percent of its disk that the store may take, if that is less than retention_bytes; 0: no limit.",
        group="collector",
    )  # fmt: skip
    collector_shared_key: str = option(
        "", "Shared key that senders must prove to know.", secret=True, group="collector"
    )
    collector_user: str = option("", "User name that senders must give; needs the shared key.", group="collector")
    collector_password: str = option("", "Password that senders must give.", secret=True, group="collector")
    collector_cert_file: str = option(
        "", "Certificate chain (PEM): TCP senders must then speak TLS.", group="collector"
    )
    collector_key_file: str = option("", "Private key (PEM) of that certificate.", group="collector")
    collector_memory_bytes: int = option(
        16 * MIB, "Bytes received but not yet stored; beyond it reading stops.", group="collector"
    )
    token: str = option("", "Bearer token that HTTP clients must send.", secret=True, group="collector")
    read_token: str = option(
        "", "Second bearer token that only allows reading: GET and HEAD.", secret=True, group="collector"
    )
    allowed_hosts: tuple[str, ...] = option(
        (),
        "Host names under which HTTP is answered beside localhost, addresses and the machine's name; *.example for all below it.",
        group="collector",
    )
    http_cert_file: str = option(
        "", "Certificate chain (PEM) for HTTP: it is then answered over TLS only.", group="collector"
    )
    http_key_file: str = option("", "Private key (PEM) of the HTTP certificate.", group="collector")

    elastic_url: str = option("http://127.0.0.1:9200", "Where Elasticsearch answers.", group="elastic")
    elastic_api_key: str = option(
        "", "API key for Elasticsearch, as it was encoded when made.", secret=True, group="elastic"
    )
    elastic_user: str = option("", "User name for Elasticsearch, where there is no API key.", group="elastic")
    elastic_password: str = option("", "Password of that user.", secret=True, group="elastic")
    elastic_ca_file: str = option(
        "", "Certificates that vouch for an https:// Elasticsearch; empty: the system's.", group="elastic"
    )
    elastic_namespace: str = option(
        "default", "Namespace of the data stream: logs-logship.events-NAMESPACE.", group="elastic"
    )
    elastic_retention_days: float = option(30.0, "Days Elasticsearch keeps events; 0: for ever.", group="elastic")
    elastic_shipper_password: str = option(
        "", "Password for the user logship_shipper; empty: set-up leaves that user alone.", secret=True, group="elastic"
    )
    elastic_logstash_password: str = option(
        "", "Password for the user logship_logstash, for Logstash in front of Elasticsearch; empty: set-up makes no such user.",
        secret=True, group="elastic",
    )  # fmt: skip
    elastic_reader_password: str = option(
        "", "Password for the user logship_reader; empty: set-up leaves that user alone.", secret=True, group="elastic"
    )

    kibana_url: str = option(
        "",
        "Where Kibana answers, of a space: with /s/SPACE; empty: set-up brings no dashboards there.",
        group="elastic",
    )

    source: str = option(
        "", "What is asked: a store directory or a collector's URL; empty: the collector, else the store.", group="cli"
    )

    source_ca_file: str = option(
        "", "Certificates that vouch for an https:// source; empty: the system's.", group="cli"
    )

    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False, metadata={"internal": True})

    def __repr__(self) -> str:
        """Every value but secrets, which show as [set]."""
        return f"Settings({', '.join(f'{one.name}={shown(one, getattr(self, one.name))!r}' for one in OPTIONS)})"


OPTIONS: Final[tuple[Field[Any], ...]] = tuple(one for one in fields(Settings) if "internal" not in one.metadata)
BY_NAME: Final[Mapping[str, Field[Any]]] = {one.name: one for one in OPTIONS}


def load(
    arguments: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    ignored: Callable[[SettingsError], object] | None = None,
) -> Settings:
    """Settings from arguments, then `LOGSHIP_*`, then defaults. An argument that is None was not given.

    `environment` stands in for the process's. SettingsError for an unknown argument, with the nearest known name, and
    for a value the setting cannot take; with `ignored`, an environment variable that is wrong is given to it, and the
    default holds. An unknown `LOGSHIP_*` name is warned of once a process."""
    around = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for name, value in (arguments or {}).items():
        if name not in BY_NAME:
            raise SettingsError(f"there is no setting {name!r}{_nearest(name, BY_NAME)}")
        if value is not None:
            values[name], origins[name] = _taken(BY_NAME[name], value, name), "argument"
    for one in OPTIONS:
        text = around.get(environment_name(one.name))
        # Compose files say X: ${X:-} for what is not set; only a list can mean to be empty.
        if one.name not in values and text is not None and (text.strip() or isinstance(one.default, tuple)):
            try:
                values[one.name], origins[one.name] = _taken(one, text, environment_name(one.name)), "environment"
            except SettingsError as error:
                if ignored is None:
                    raise
                ignored(error)
    _warn_of_strangers(around)
    _fill_in(values, origins, around)
    return Settings(**values, origins=origins)


def table(settings: Settings) -> list[Option]:
    """Every setting in the order of its group, with value, origin and meaning; no secret is in it."""
    return [
        Option(
            one.name,
            environment_name(one.name),
            as_text(shown(one, getattr(settings, one.name))),
            settings.origins.get(one.name, "default"),
            one.metadata["sentence"],
            one.metadata["group"],
            as_text(one.default),
        )
        for one in OPTIONS
    ]


def environment_name(name: str) -> str:
    """`LOGSHIP_STATE_DIR` for `state_dir`."""
    return PREFIX + name.upper()


def child_environment(changes: Mapping[str, str], environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """A copy of the environment with `changes`, for a process we start."""
    return {**(os.environ if environment is None else environment), **changes}


def inherited(name: str, environment: Mapping[str, str] | None = None) -> str:
    """The value of one of the `INTERNAL` names, said by the process that started this one; empty without it."""
    return (os.environ if environment is None else environment).get(name, "")


def host_and_port(text: str, said: str) -> tuple[str, int]:
    """The two halves of HOST:PORT; brackets around IPv6 addresses are taken off, and no host means loopback.

    SettingsError names the setting, which is `said`."""
    host, colon, port = text.strip().rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or ("/" in host):
        usual = str(BY_NAME[said].default).rpartition(":")[2]
        raise SettingsError(
            f"--{said} ({environment_name(said)}) takes HOST:PORT, such as 127.0.0.1:{usual} or [::1]:{usual}, not {text!r}"
        )
    return host or "127.0.0.1", int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    return host in ("localhost", "::1") or (host.startswith("127.") and host.replace(".", "").isdigit())


def shown(one: Field[Any], value: object) -> object:
    """The value as people may see it."""
    return "[set]" if one.metadata["secret"] and value else value


def as_text(value: object) -> str:
    """The value as it would be written into the environment."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _fill_in(values: dict[str, Any], origins: dict[str, Origin], around: Mapping[str, str]) -> None:
    """What depends on the machine: the name of the service and the two directories."""
    if not values.get("service"):
        values["service"] = around.get("OTEL_SERVICE_NAME") or _directory_name() or "service"
    if not values.get("state_dir"):
        values["state_dir"] = _state_dir(around)
        if around.get("STATE_DIRECTORY"):
            origins["state_dir"] = "environment"
    if not values.get("store_dir"):
        values["store_dir"] = str(Path(values["state_dir"]) / "store")


def _directory_name() -> str:
    """The name of the working directory; empty if it was removed, as by a deploy."""
    try:
        return Path.cwd().name
    except OSError:
        return ""


def _state_dir(around: Mapping[str, str]) -> str:
    if systemd := around.get("STATE_DIRECTORY", ""):
        return systemd.split(":")[0]  # systemd lists all of StateDirectory=, separated by colons
    if os.geteuid() == 0:
        return "/var/lib/logship"
    if state := around.get("XDG_STATE_HOME"):
        return str(Path(state) / "logship")
    try:
        home = around.get("HOME") or str(Path("~").expanduser())
    except RuntimeError:  # a container's user without a name
        import tempfile  # for this one case: it would be in every worker's start

        return str(Path(tempfile.gettempdir()) / f"logship-{os.geteuid()}")
    return str(Path(home) / ".local/state/logship")


def _taken(one: Field[Any], value: object, said: str) -> object:
    """`value` as the type of the setting; SettingsError names it as it was `said`, but never a secret's value."""
    default: object = one.default
    try:
        taken = _read(default, value.strip()) if isinstance(value, str) else _fitting(default, value)
    except (ValueError, TypeError, KeyError):
        raise SettingsError(f"{said} takes {KINDS[type(default)]}, not {shown(one, value)!r}") from None
    choices: tuple[str, ...] = one.metadata["choices"]
    if choices and (taken := str(taken).lower()) not in choices:
        raise SettingsError(f"{said} is one of {', '.join(choices)}, not {value!r}{_nearest(str(taken), choices)}")
    if one.metadata["tokens"]:
        _check_tokens(one, (taken,) if isinstance(taken, str) else taken, said)
    if isinstance(taken, int | float):
        most = one.metadata["most"]
        if not 0 <= taken < float("inf") or (most is not None and taken > most):
            raise SettingsError(f"{said} is at least 0{'' if most is None else f' and at most {most}'}, not {value!r}")
    return taken


def _check_tokens(one: Field[Any], names: Any, said: str) -> None:
    """SettingsError for what no header or cookie can be called, and for a request id in a header that means something."""
    for name in names:
        if TOKEN.fullmatch(name) is None:
            raise SettingsError(
                f"{said}: {name!r} is not a valid name; use letters, digits and -, at most 64 characters"
            )
        if one.name == "request_id_header" and name.lower() in TAKEN_HEADERS:
            raise SettingsError(f"{said}: {name!r} has a meaning in HTTP; choose another header, such as x-request-id")


def _read(default: object, text: str) -> object:
    if isinstance(default, bool):
        return WORDS[text.lower()]
    if isinstance(default, int):
        return _quantity(text)
    if isinstance(default, float):
        return float(text)
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _quantity(text: str) -> int:
    """A whole number, or a number of units that is one in all: 1.5Gi. ValueError or KeyError otherwise."""
    found = _QUANTITY.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    whole, fraction, unit = found[1], found[2] or ".", found[3].lower()
    parts: int = 10 ** len(fraction[1:])
    size, rest = divmod(int(whole + fraction[1:]) * UNITS[unit], parts)
    if rest or (found[2] and not unit):
        raise ValueError(text)
    return size


def _fitting(default: object, value: object) -> object:
    if isinstance(default, bool) or isinstance(value, bool):
        if isinstance(default, bool) and isinstance(value, bool):
            return value
    elif isinstance(default, int):
        if isinstance(value, int):
            return value
    elif isinstance(default, float):
        if isinstance(value, int | float):
            return float(value)
    elif isinstance(default, tuple):
        if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | Mapping):
            parts = tuple(value)
            if all(isinstance(part, str) for part in parts):
                return parts
    elif isinstance(value, os.PathLike):
        return os.fsdecode(value)
    raise TypeError


def _warn_of_strangers(around: Mapping[str, str]) -> None:
    known = {environment_name(name) for name in BY_NAME}
    strangers = sorted(
        name
        for name in around
        if name.startswith(PREFIX)
        and not name.startswith(TESTS)
        and name not in known | INTERNAL | _warned
        and not SERVICE_LINK.fullmatch(name)
    )
    if strangers:
        _warned.update(strangers)
        told = "; ".join(f"{name}{_nearest(name, known)}" for name in strangers)
        _logger.warning("logship knows no such setting, and ignores it: %s", told)


def _nearest(name: str, known: Iterable[str]) -> str:
    import difflib  # for the unhappy only: it would be in every worker's start

    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def no_color() -> bool:
    """Whether the person asked for no colours: https://no-color.org."""
    return bool(os.environ.get("NO_COLOR"))
