"""The HTTP API: which path is served by what. Errors are {"error": message}; see `responses.py`."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from logship import __version__
from logship.page.api import export, incidents, openapi, tail
from logship.page.api.limits import Capacity
from logship.page.api.params import params_of
from logship.page.api.queries import QUERIES, ApiQuery, result_of
from logship.page.api.responses import as_json, json_response
from logship.page.context import PageContext
from logship.search.query import Source

Endpoint = Callable[[Request], Awaitable[Response]]

QUERY_PATHS: Final = {query.path or f"/api/{name}": query for name, query in QUERIES.items()}
# The parameters in the query string of each path.
NAMES: Final = {
    path: tuple(name for name in query.names if f"{{{name}}}" not in path) for path, query in QUERY_PATHS.items()
} | {
    "/api/incident": incidents.NAMES,
    "/api/report": incidents.REPORT_NAMES,
    "/api/tail": tail.NAMES,
    "/api/export": export.NAMES,
}


def endpoints(source: Source, context: PageContext, capacity: Capacity) -> dict[str, Endpoint]:
    """Return the endpoint of each path of the API."""
    probes = HealthEndpoints(context, capacity)
    reports = incidents.Incidents(source, context, capacity)
    # An id may be any text, also with a slash.
    queries: dict[str, Endpoint] = {
        path.replace("{id}", "{id:path}"): partial(_query, query, source, context, capacity)
        for path, query in QUERY_PATHS.items()
    }
    return queries | {
        "/api/incident": reports.respond,
        "/api/report": reports.respond_with_file,
        "/api/export": export.Export(source, context, capacity).respond,
        "/api/tail": tail.Tail(source, context, capacity).respond,
        "/api/health": probes.health,
        "/api/openapi.json": _openapi,
        "/metrics": probes.metrics,
        "/healthz": probes.alive,
        "/readyz": probes.ready,
    }


async def _query(query: ApiQuery, source: Source, context: PageContext, capacity: Capacity, request: Request) -> Response:
    params = params_of(request, context, query.names)
    capacity.refuse_if_unsent()
    return capacity.json(await capacity.query(lambda: as_json(result_of(query, source, params))))


async def _openapi(request: Request) -> Response:
    return json_response(openapi.document(__version__, NAMES))


class HealthEndpoints:
    """Liveness, readiness and the counters of the process."""

    def __init__(self, context: PageContext, capacity: Capacity) -> None:
        self._context, self._capacity = context, capacity

    async def health(self, request: Request) -> Response:
        """The counters, and `status`: "ok", or why events are not accepted now."""

        def health() -> Mapping[str, object]:
            return {"status": self._context.unready() or "ok", **self._context.health()}

        return json_response(await self._capacity.query(health))

    async def metrics(self, request: Request) -> Response:
        """The metrics of this process, and of the workers of this machine, for Prometheus."""
        from logship.page.api import metrics

        asked = request.headers
        exposition = await self._capacity.query(
            lambda: metrics.exposition(self._context, asked.get("accept", ""), asked.get("accept-encoding", ""))
        )
        return Response(exposition.body, headers=dict(exposition.headers))

    async def alive(self, request: Request) -> Response:
        """Liveness: always 200. A part of the process that ends for good ends the process."""
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        """Readiness: 200 while events are accepted and stored, else 503 with the reason."""
        stopping = self._context.stopping()
        reason = "the process is stopping" if stopping else await self._capacity.check(self._context.unready)
        return PlainTextResponse(f"{reason or 'ok'}\n", 503 if reason else 200)
