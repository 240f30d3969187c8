"""`fluent.asynchandler` over the journal. No handler of logship waits, so it is the same as `handler`."""

from logship.fluent.handler import FluentHandler

__all__ = ["FluentHandler"]
