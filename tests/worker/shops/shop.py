"""The shop with the one import."""

import logship.auto  # noqa: F401

# isort: split

from tests.worker.shops import plain

app = plain.app


def make() -> object:
    """Return the application, for servers that are given a factory."""
    return app
