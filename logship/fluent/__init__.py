"""fluent-logger's interface over the journal: `from logship.fluent import sender` in place of `from fluent import sender`.

The modules and names are fluent-logger's, and so are the arguments; what concerns its connection is taken and not used,
because the journal and the shipping thread stand in its place. No call waits for an agent."""

from logship.fluent.event import Event
from logship.fluent.handler import FluentHandler
from logship.fluent.sender import EventTime, FluentSender, close, get_global_sender, setup

__all__ = ["Event", "EventTime", "FluentHandler", "FluentSender", "close", "get_global_sender", "setup"]
