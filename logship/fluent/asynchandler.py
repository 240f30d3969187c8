"""`fluent.asynchandler` over the journal: no handler of ours waits, so that this one is the same."""

from logship.fluent.handler import FluentHandler

__all__ = ["FluentHandler"]
