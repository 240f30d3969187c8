"""The page and the HTTP API over any source."""

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from logship.cli.rows import Form
from logship.cli.serving.access import access, listen, tls, url_of
from logship.cli.serving.announce import announce_page
from logship.cli.serving.lifetime import run_until, stop_on_signals
from logship.connect.source import local_workers
from logship.settings import Settings

if TYPE_CHECKING:
    from logship.cli.serving.http import Server
    from logship.page.context import PageContext
    from logship.search.query import Source

# Longer queries are cancelled: other queries, and the collector beside them, need the cores.
QUERY_SECONDS = 20.0


async def serve_page(settings: Settings, source: "Source", form: Form | None) -> None:
    """Serve the page until a signal arrives."""
    from logship.page.context import PageContext

    stop = stop_on_signals()
    with contextlib.closing(listen(settings.http)) as listener:
        context = PageContext(
            stopping=stop.is_set, access=access(settings), live_workers=partial(local_workers, settings),
            kibana_url=settings.kibana_url,
        )  # fmt: skip
        server = page_server(source, context, settings)
        announce_page(url_of(listener, settings), form)
        await run_until(stop, [], server, listener)


def page_server(source: "Source", context: "PageContext", settings: Settings) -> "Server | None":
    """Return the HTTP server, None if HTTP is off."""
    if settings.http == "off":
        return None
    from logship.cli.serving.http import Server
    from logship.collector.accept import shares

    return Server(source, context, shares().clients, tls(settings))
