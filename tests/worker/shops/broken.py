"""A shop that cannot start: it fails in lifespan before it asks for anything."""

import logship.auto  # noqa: F401

# isort: split

from tests.worker.shops import plain


async def app(scope: plain.Scope, receive: plain.Receive, send: plain.Send) -> None:
    """The plain shop behind a start that fails."""
    if scope["type"] == "lifespan":
        raise RuntimeError("DATABASE_URL is missing")
    await plain.app(scope, receive, send)
