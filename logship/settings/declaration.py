"""Every setting, declared once: name with its unit, default, and the sentence that documents it."""

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, Final, Literal, NamedTuple, TypeVar

T = TypeVar("T")
Group = Literal["worker", "collector", "cli", "elastic"]
Origin = Literal["argument", "environment", "default"]

PREFIX: Final = "LOGSHIP_"
MIB: Final = 2**20
NAMED_ELSEWHERE: Final = ("service", "version", "environment", "instance", "state_dir")
VALUE_CHARACTERS: Final = 200
LEVELS: Final = ("debug", "info", "warning", "error", "critical")


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
    """Declare one setting as a dataclass field. Numbers are at least 0 and at most `most`.

    `secret`: its value is never shown; `tokens`: its texts are names of HTTP headers or cookies."""
    metadata = {
        "sentence": sentence,
        "secret": secret,
        "group": group,
        "choices": choices,
        "most": most,
        "tokens": tokens,
    }
    return field(default=default, metadata=metadata)


class Option(NamedTuple):
    """One row of `logship settings`. `value` is text, `[set]` for a secret."""

    name: str
    environment: str
    value: str
    origin: str
    sentence: str
    group: str
    default: str


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """The settings of one process, as `load` returns them. `origins` says where a value came from, unless it is a default."""

    service: str = option("", "Name of the service; empty: OTEL_SERVICE_NAME, or the name of the working directory.")
    version: str = option("", "Version of the service.")
    environment: str = option("", "Deployment environment of the service: production, staging, ...")
    instance: str = option("", "Name that distinguishes instances of one service on one host; empty: the bind address.")
    agent: str = option(
        "127.0.0.1:24224",
        "Destination of events: HOST:PORT, tls://HOST:PORT, unix:///PATH, stdout, file:PATH, console or off.",
    )
    agent_shared_key: str = option("", "Shared key for the Forward handshake with the agent.", secret=True)
    agent_user: str = option("", "User name for the agent, if it requires one.")
    agent_password: str = option("", "Password for the agent, if it requires one.", secret=True)
    agent_ca_file: str = option("", "CA certificates (PEM) for a tls:// agent; empty: those of the system.")
    state_dir: str = option(
        "",
        "Directory of journals and slots; empty: STATE_DIRECTORY of systemd, /var/lib/logship (root) or ~/.local/state/logship.",
    )
    journal_limit_bytes: int = option(64 * MIB, "Bytes of events that a worker buffers while the agent is unreachable.")
    state_limit_bytes: int = option(
        1024 * MIB, "Bytes that all journals together may take; beyond it the oldest orphan is deleted and counted as dropped."
    )
    level: str = option("info", "Minimum log level.", choices=LEVELS)
    sample_ratio: float = option(
        1.0, "Share of requests that are logged, 0 to 1; errors and slow requests are always logged.", most=1
    )
    slow_seconds: float = option(
        1.0, "Duration from which a request counts as slow; slow requests are never sampled out."
    )
    stall_seconds: float = option(
        0.1,
        "Seconds without a run of the event loop that count as a stall, 0.02 or more; 0: stalls are not watched. "
        "Read when the worker starts to serve.",
    )
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
        "Paths whose GET and HEAD requests are counted in the heartbeat and not logged; "
        "* matches within one segment, /* at the end matches everything below.",
    )
    client_ip: str = option(
        "on",
        "Client addresses: logged in full (on), cut to their network (truncated), or not logged (off).",
        choices=("on", "truncated", "off"),
    )
    allow_headers: tuple[str, ...] = option((), "Request headers whose values may be logged.", tokens=True)
    allow_query: tuple[str, ...] = option((), "Query parameters whose values may be logged.")
    allow_cookies: tuple[str, ...] = option((), "Cookies whose values may be logged.", tokens=True)
    redact_names: tuple[str, ...] = option((), "Additional names of fields whose values are never logged.")
    request_id_header: str = option(
        "x-request-id", "Header that carries the request id, in requests and in responses.", tokens=True
    )
    workers: int = option(0, "Number of workers; 0: as the server says.")
    heartbeat_seconds: float = option(10.0, "Seconds between two heartbeats of a worker.")
    ack_timeout_seconds: float = option(
        5.0, "Seconds to wait for an acknowledgement of the agent before a batch is sent again."
    )
    console: str = option(
        "auto", "Readable log lines on stderr; auto: if stderr is a terminal.", choices=("auto", "on", "off")
    )
    capture_fluent: bool = option(
        False, "Journal what fluent-logger's senders and handlers in this process emit, instead of sending it."
    )
    metrics: str = option(
        "off", "HOST:PORT at which one of the workers serves the metrics of all for Prometheus; needs prometheus_client."
    )
    mute_access: bool = option(True, "Mute the logger uvicorn.access once the agent has acknowledged an event.")

    store_dir: str = option(
        "", "Directory in which the collector stores events; empty: store in the state directory.", group="collector"
    )
    forward: str = option(
        "127.0.0.1:24224", "Address on which the collector receives events; off disables it.", group="collector"
    )
    http: str = option(
        "127.0.0.1:24280", "Address of the collector's page and HTTP API; off disables it.", group="collector"
    )
    unix: str = option("", "Path of a Unix socket on which the collector also receives events.", group="collector")
    retention_days: float = option(30.0, "Days that events are kept; 0: no limit.", group="collector")
    retention_bytes: int = option(0, "Bytes the store may take; 0: no limit.", group="collector")
    retention_disk_percent: float = option(
        20.0, "Percent of its disk that the store may take; the smaller of this and retention_bytes applies; 0: no limit.",
        group="collector",
    )  # fmt: skip
    integrity_key_file: str = option(
        "",
        "File of keys, one a line, that sign the store's chain of digests; keep it outside the store. The first one signs.",
        group="collector",
    )
    collector_shared_key: str = option("", "Shared key required from senders.", secret=True, group="collector")
    collector_user: str = option("", "User name required from senders; needs the shared key.", group="collector")
    collector_password: str = option("", "Password required from senders.", secret=True, group="collector")
    collector_cert_file: str = option(
        "", "Certificate chain (PEM); if set, TCP senders must use TLS.", group="collector"
    )
    collector_key_file: str = option("", "Private key (PEM) of collector_cert_file.", group="collector")
    collector_memory_bytes: int = option(
        16 * MIB,
        "Bytes that may be received and not yet stored; beyond it the collector stops reading.",
        group="collector",
    )
    token: str = option("", "Bearer token required from HTTP clients.", secret=True, group="collector")
    read_token: str = option(
        "", "Second bearer token, for reading only (GET and HEAD).", secret=True, group="collector"
    )
    allowed_hosts: tuple[str, ...] = option(
        (),
        "Accepted Host headers besides localhost, IP addresses and the machine's name; *.example matches all subdomains.",
        group="collector",
    )
    http_cert_file: str = option(
        "", "Certificate chain (PEM) for HTTP; if set, only HTTPS is served.", group="collector"
    )
    http_key_file: str = option("", "Private key (PEM) of the HTTP certificate.", group="collector")

    elastic_url: str = option("http://127.0.0.1:9200", "URL of Elasticsearch.", group="elastic")
    elastic_api_key: str = option("", "API key for Elasticsearch, in its encoded form.", secret=True, group="elastic")
    elastic_user: str = option("", "User name for Elasticsearch, if there is no API key.", group="elastic")
    elastic_password: str = option("", "Password of elastic_user.", secret=True, group="elastic")
    elastic_ca_file: str = option(
        "", "CA certificates (PEM) for an https:// Elasticsearch; empty: those of the system.", group="elastic"
    )
    elastic_namespace: str = option(
        "default", "Namespace of the data stream: logs-logship.events-NAMESPACE.", group="elastic"
    )
    elastic_retention_days: float = option(30.0, "Days that Elasticsearch keeps events; 0: no limit.", group="elastic")
    elastic_shipper_password: str = option(
        "",
        "Password for the user logship_shipper; empty: set-up does not change that user.",
        secret=True,
        group="elastic",
    )
    elastic_logstash_password: str = option(
        "", "Password for the user logship_logstash, for Logstash in front of Elasticsearch; empty: set-up does not create it.",
        secret=True, group="elastic",
    )  # fmt: skip
    elastic_reader_password: str = option(
        "",
        "Password for the user logship_reader; empty: set-up does not change that user.",
        secret=True,
        group="elastic",
    )
    elastic_rollup_password: str = option(
        "", "Password for the user logship_rollup, which `logship rollup` may use; empty: set-up does not create it.",
        secret=True, group="elastic",
    )  # fmt: skip

    kibana_url: str = option(
        "",
        "URL of Kibana, with /s/SPACE for a space; empty: set-up imports no dashboards.",
        group="elastic",
    )

    source: str = option(
        "",
        "What commands query: a store directory or the URL of a collector; empty: the local collector, else the local store.",
        group="cli",
    )

    source_ca_file: str = option(
        "", "CA certificates (PEM) for an https:// source; empty: those of the system.", group="cli"
    )

    webhook: str = option("", "URL to which `logship watch` posts findings.", secret=True, group="cli")

    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False, metadata={"internal": True})

    def __repr__(self) -> str:
        """Return every value except those of secrets, which are shown as [set]."""
        return f"Settings({', '.join(f'{one.name}={shown(one, getattr(self, one.name))!r}' for one in OPTIONS)})"


OPTIONS: Final[tuple[Field[Any], ...]] = tuple(one for one in fields(Settings) if "internal" not in one.metadata)
BY_NAME: Final[Mapping[str, Field[Any]]] = {setting.name: setting for setting in OPTIONS}


def table(settings: Settings) -> list[Option]:
    """Return every setting with its value, origin and sentence, in the order of declaration. Secrets are not shown."""
    return [
        Option(
            setting.name,
            environment_name(setting.name),
            as_text(shown(setting, getattr(settings, setting.name))),
            settings.origins.get(setting.name, "default"),
            setting.metadata["sentence"],
            setting.metadata["group"],
            as_text(setting.default),
        )
        for setting in OPTIONS
    ]


def not_default(settings: Settings) -> list[str]:
    """Return the settings of a worker that do not have their default, as name=value. Secrets are not shown.

    What events have separate fields for, and the directory of this machine, is left out."""
    return [
        f"{setting.name}={as_text(shown(setting, value))[:VALUE_CHARACTERS]}"
        for setting in OPTIONS
        if setting.metadata["group"] == "worker" and setting.name not in NAMED_ELSEWHERE
        if (value := getattr(settings, setting.name)) != setting.default
    ]


def environment_name(name: str) -> str:
    """Return the environment variable of a setting: `LOGSHIP_STATE_DIR` for `state_dir`."""
    return PREFIX + name.upper()


def shown(setting: Field[Any], value: object) -> object:
    """Return `value`, or "[set]" for the value of a secret."""
    return "[set]" if setting.metadata["secret"] and value else value


def as_text(value: object) -> str:
    """Return a value of a setting as it is written in an environment variable."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
