"""The page as one ASGI application over any `Source`: the HTTP API, and the HTML that shows its results."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from logship.page.api.endpoints import endpoints
from logship.page.api.limits import Capacity
from logship.page.api.responses import ERROR_HANDLERS
from logship.page.context import DEFAULT_CONTEXT, PageContext
from logship.page.guard import Guard
from logship.page.html.endpoints import html_endpoints
from logship.search.query import Source


def app(source: Source, context: PageContext = DEFAULT_CONTEXT) -> Starlette:
    """Return the application. It never closes `source`.

    Errors of the API are {"error": message}: 400 for an invalid query (for KQL with "at", the position), 404 for an unknown
    id or path, 503 when the source fails or a limit is reached."""
    capacity = Capacity()
    paths = endpoints(source, context, capacity) | html_endpoints(source, capacity)
    application = Starlette(
        routes=[Route(path, endpoint, methods=["GET"]) for path, endpoint in paths.items()],
        middleware=[Middleware(Guard, access=context.access)],
        exception_handlers=ERROR_HANDLERS,
    )
    application.router.redirect_slashes = False  # an unknown path is 404, not a redirect
    return application
