"""`fluent.asyncsender` over the journal: no sender of ours waits, so that this one is the same."""

from logship.fluent.sender import EventTime, FluentSender, close, get_global_sender, setup

__all__ = ["EventTime", "FluentSender", "close", "get_global_sender", "setup"]
