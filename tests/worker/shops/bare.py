"""A shop that knows HTTP and nothing else: no lifespan."""

import logship.auto  # noqa: F401

# isort: split

from tests.worker.shops import plain


async def app(scope: plain.Scope, receive: plain.Receive, send: plain.Send) -> None:
    """The plain shop, which fails on everything that is no request."""
    assert scope["type"] == "http"
    await plain.app(scope, receive, send)
