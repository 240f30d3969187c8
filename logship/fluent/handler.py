"""`fluent.handler` over the journal. FluentRecordFormatter is fluent-logger's own, where that is installed."""

import logging
from typing import TYPE_CHECKING, Any, Self

from logship.fluent import sender
from logship.worker.capture import stdlib

if TYPE_CHECKING:
    FluentRecordFormatter: Any

__all__ = ["FluentHandler", "FluentRecordFormatter"]


class FluentHandler(logging.Handler):
    """Journals records under a tag. A record that logship has journalled already, as it does by itself, is not repeated."""

    def __init__(self, tag: str | None, host: str = "localhost", port: int = 24224, **kwargs: Any) -> None:
        """`kwargs`: what FluentSender takes."""
        super().__init__()
        self.tag = tag
        self._sender: sender.FluentSender | None = self.getSenderInstance(tag=tag, host=host, port=port, **kwargs)
        self._make = {"tag": tag, "host": host, "port": port, **kwargs}

    def getSenderClass(self) -> type[sender.FluentSender]:  # noqa: N802 - fluent-logger's name
        """Return the class of the sender."""
        return sender.FluentSender

    def getSenderInstance(self, **kwargs: Any) -> sender.FluentSender:  # noqa: N802 - fluent-logger's name
        """Return a new sender."""
        return self.getSenderClass()(**kwargs)

    @property
    def sender(self) -> sender.FluentSender:
        """The sender, made again after `close`."""
        if self._sender is None:
            self._sender = self.getSenderInstance(**self._make)
        return self._sender

    def emit(self, record: logging.LogRecord) -> bool:  # type: ignore[override]
        """Journal one record, formatted. False if it was refused."""
        if stdlib.is_journalled(record):
            return True
        try:
            return self.sender.emit_with_time(None, record.created, self.format(record))
        except Exception:  # noqa: BLE001 - a formatter's: logging has a place for that
            self.handleError(record)
            return False

    def close(self) -> None:
        """Close the sender."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def __getattr__(name: str) -> Any:
    if name == "FluentRecordFormatter":
        try:
            from fluent import handler
        except ImportError:
            raise ImportError("FluentRecordFormatter is fluent-logger's: pip install 'logship[fluent]'") from None
        return handler.FluentRecordFormatter
    raise AttributeError(name)
