"""The HTML of the page over HTTP: the shell of each view, the page without JavaScript, and the files."""

import time

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from logship.page.api.endpoints import Endpoint
from logship.page.api.limits import Capacity
from logship.page.html.assets import asset
from logship.page.html.plain import plain_page
from logship.page.html.shell import POLICY, ROUTES, shell
from logship.search.query import Source
from logship.search.zone import LocalZone


def html_endpoints(source: Source, capacity: Capacity) -> dict[str, Endpoint]:
    """Return the endpoint of each path that is not part of the API."""

    async def plain(request: Request) -> Response:
        given, now_ns = dict(request.query_params), time.time_ns()
        return HTMLResponse(await capacity.query(lambda: plain_page(source, given, now_ns, LocalZone())))

    paths: dict[str, Endpoint] = {"/static/{version}/{name:path}": _static, "/plain": plain}
    return paths | dict.fromkeys(ROUTES, _shell)


async def _shell(request: Request) -> Response:
    page = shell(request.url.path, request.query_params, time.time_ns())
    return HTMLResponse(page, headers={"content-security-policy": POLICY})


async def _static(request: Request) -> Response:
    version, name = request.path_params["version"], request.path_params["name"]
    file = asset(version, name, request.headers.get("accept-encoding", ""))
    if file is None:
        raise HTTPException(404)
    return Response(file[0], headers=file[1])
