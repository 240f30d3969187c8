"""Helpers for your own tests: capture events, and check that no secret leaves the process."""

from logship.testing.events import capture_events
from logship.testing.secrets import PLANTED, assert_no_secrets, plant

__all__ = ["PLANTED", "assert_no_secrets", "capture_events", "plant"]
