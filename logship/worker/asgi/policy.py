"""What the settings mean for each request, computed once."""

from logship.event import account
from logship.event.probes import Probes
from logship.event.remember import Remembered
from logship.settings import Settings
from logship.state.identity import Cell
from logship.state.metric_file import REASON_CELLS
from logship.worker import event_loop, internal_errors, registry
from logship.worker.asgi import ids
from logship.worker.asgi.types import Scope
from logship.worker.metrics.series import SeriesIndex
from logship.worker.pipeline import Pipeline
from logship.worker.servers import detect

# What repeats by kind of response: the items of an `account.Head`, its series and the cell of its reason in the metrics.
KindOfResponse = tuple[bytes, int, bytes, bytes, int, int, int]


class RequestPolicy:
    """The settings of a pipeline, prepared for the request path, and packed fields that repeat between requests.

    Created with the first request after `configure`; its settings never change. The caches are bounded in bytes."""

    __slots__ = (
        "allows_values",
        "clients",
        "cookies",
        "headers",
        "heads",
        "id_header",
        "paths",
        "pipeline",
        "probes",
        "samples",
        "series",
        "settings",
        "slow_ns",
        "wanted_headers",
    )

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self.pipeline = pipeline
        self.settings = settings
        self.id_header = settings.request_id_header.lower().encode("latin-1")
        self.headers = frozenset(name.lower().encode("latin-1") for name in settings.allow_headers)
        self.cookies = frozenset(name.encode("latin-1") for name in settings.allow_cookies)
        self.allows_values = bool(settings.allow_headers or settings.allow_query or settings.allow_cookies)
        self.wanted_headers = frozenset(
            (self.id_header, b"traceparent", b"content-length", b"transfer-encoding", b"host", b"user-agent")
        )
        self.slow_ns = int(settings.slow_seconds * 1e9)
        self.samples = settings.sample_ratio < 1
        self.probes = Probes(settings.probes)
        self.paths: Remembered[account.Path] = Remembered()
        self.heads: Remembered[KindOfResponse] = Remembered()
        self.series = SeriesIndex(pipeline.metrics)
        self.clients: Remembered[tuple[bytes, int]] = Remembered()

    def path(self, text: str) -> account.Path:
        """Pack a path that is not among `paths`, and keep it there."""
        return self.paths.keep(text, account.pack_path(self.pipeline.redactor, text, self.probes.match(text)))

    def head(self, key: tuple[str, str | None, int, bytes, str, bool]) -> KindOfResponse:
        """Pack a head that is not among `heads`, and keep it there. `key`: the arguments of `pack_head`."""
        method, route, status, _, reason, _ = key
        series = self.series.of(method, route, status)
        return self.heads.keep(key, (*account.pack_head(*key), series, REASON_CELLS[reason]))

    def client(self, key: tuple[bytes, bytes, str, str, str]) -> tuple[bytes, int]:
        """Pack a client that is not among `clients`, and keep it there. `key`: the last arguments of `pack_client`."""
        return self.clients.keep(key, account.pack_client(self.pipeline.redactor, self.settings.client_ip, *key))

    def records(self, probe: bool, status: int, failed: bool, slow: bool) -> bool:
        """Return whether a request is recorded. One that is not is counted: a probe that succeeded, or sampled out.

        Failed and slow requests are never sampled out. `status` 0: no response began."""
        if failed or status >= 400 or status == 0:
            return True
        cells = self.pipeline.journal.cells
        if probe:
            cells[Cell.PROBES] += 1
            return False
        if self.samples and not slow and ids.generator.random() >= self.settings.sample_ratio:
            cells[Cell.SAMPLED_OUT] += 1
            return False
        return True


def current(scope: Scope | None) -> RequestPolicy | None:
    """Return the policy of this process, created if necessary; None if logship is not configured. Never raises.

    The first call makes the process a serving worker. `scope`: of the first request, None during lifespan."""
    try:
        pipeline = registry.current()
        if pipeline is None:
            return None
        if pipeline.server is None:
            pipeline.serve(detect.server_info(scope))
        if pipeline.shipper is not None:  # else events are captured by a test
            event_loop.watch(pipeline)
        ids.reseed()
        while True:
            settings = pipeline.settings
            policy = pipeline.policy = RequestPolicy(pipeline, settings)
            if pipeline.settings is settings:  # else another thread has called `configure` in the meantime
                return policy
    except Exception as error:
        internal_errors.report(error)
        return None
