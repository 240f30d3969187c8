"""Commands in this process, a store and a collector."""

from tests.cli.conftest import kept, logship, up

__all__ = ["kept", "logship", "up"]
