"""fluent-logger's interface over the journal: replace `from fluent import sender` by `from logship.fluent import sender`.

Modules, names and arguments are those of fluent-logger. Arguments for its connection are accepted and ignored: the journal
and the shipping thread replace it. No call waits for an agent."""

from logship.fluent.event import Event
from logship.fluent.handler import FluentHandler
from logship.fluent.sender import EventTime, FluentSender, close, get_global_sender, setup

__all__ = ["Event", "EventTime", "FluentHandler", "FluentSender", "close", "get_global_sender", "setup"]
