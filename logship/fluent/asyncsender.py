"""`fluent.asyncsender` over the journal. No sender of logship waits, so it is the same as `sender`."""

from logship.fluent.sender import EventTime, FluentSender, close, get_global_sender, setup

__all__ = ["EventTime", "FluentSender", "close", "get_global_sender", "setup"]
