"""`/api/incident` and `/api/report`: what happened in a time range, as JSON and as a file.

An incident reads all requests of the time range and of its baseline, some of them several times. So one is made at a time, which
leaves the other place for charts, and the report of a time range is kept for a minute, for all clients."""

import time
from typing import Final

import anyio
from starlette.requests import Request
from starlette.responses import Response

from logship.errors import SourceError
from logship.forensics.incident import IncidentReport, as_json, incident, write_up
from logship.page.api import responses
from logship.page.api.limits import Capacity
from logship.page.api.params import QUERY_NAMES, RequestParams, params_of
from logship.page.api.queries import window_and_baseline, with_hints
from logship.page.context import PageContext
from logship.search.query import Query, Source
from logship.search.times import rfc3339

NAMES: Final = (*QUERY_NAMES, "baseline")
REPORT_NAMES: Final = (*NAMES, "report_format")
WRITERS: Final = {
    "html": ("text/html", write_up.html),
    "md": ("text/markdown", write_up.markdown),
}
KEPT_SECONDS: Final = 60.0
KEPT: Final = 16
# A client at the end of a longer queue would give up before its turn.
WAITING: Final = 16


class Incidents:
    """The endpoints. Used in the event loop of the application only."""

    def __init__(self, source: Source, context: PageContext, capacity: Capacity) -> None:
        self._source, self._context, self._capacity = source, context, capacity
        self._turn: anyio.Lock | None = None
        # By window and baseline: when it was made, and the report. The oldest is first.
        self._kept: dict[tuple[Query, Query], tuple[float, IncidentReport]] = {}

    async def respond(self, request: Request) -> Response:
        """Return the JSON that `logship incident --json` prints."""
        params = params_of(request, self._context, NAMES)
        self._capacity.refuse_if_unsent()
        report = as_json(await self._report(request, params))
        body = await self._capacity.query(lambda: responses.as_json(with_hints(report, self._source, params)))
        return self._capacity.json(body)

    async def respond_with_file(self, request: Request) -> Response:
        """Return the file that `logship incident --html` or `--md` writes, with times in UTC."""
        params = params_of(request, self._context, REPORT_NAMES)
        form = params.one_of("report_format", tuple(WRITERS))
        media_type, write = WRITERS[form]
        if request.method == "HEAD":
            return Response(media_type=media_type)
        report = await self._report(request, params)
        name = f"incident-{rfc3339(report.clock.since_ns)[:16].replace(':', '')}Z.{form}"
        attachment = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(write(report, moment, self._context.kibana_url), media_type=media_type, headers=attachment)

    async def _report(self, request: Request, params: RequestParams) -> IncidentReport:
        key = window_and_baseline(params)
        report = self._fresh(key)
        if report is not None:
            return report
        if self._turn is None:
            self._turn = anyio.Lock()
        if self._turn.statistics().tasks_waiting >= WAITING:
            raise SourceError(f"too many incident reports: {WAITING} requests are waiting; retry shortly")
        async with self._turn:
            # Another client may have asked for the same one, and this one may have left.
            report = self._fresh(key)
            if report is not None:
                return report
            if await request.is_disconnected():
                raise SourceError("the client disconnected before its incident report was made")
            report = await self._capacity.query(lambda: incident(self._source, key[0], params.now_ns, key[1]))
            self._keep(key, report)
            return report

    def _fresh(self, key: tuple[Query, Query]) -> IncidentReport | None:
        made, report = self._kept.get(key, (0.0, None))
        return report if report is not None and time.monotonic() - made < KEPT_SECONDS else None

    def _keep(self, key: tuple[Query, Query], report: IncidentReport) -> None:
        self._kept.pop(key, None)
        self._kept[key] = time.monotonic(), report
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]


def moment(ns: int) -> str:
    """Return a time of a report, in whole seconds and in UTC: the file may be read in any zone."""
    return f"{rfc3339(ns)[:19].replace('T', ' ')} UTC"
