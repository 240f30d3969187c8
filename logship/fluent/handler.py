"""`fluent.handler` over the journal. FluentRecordFormatter is fluent-logger's own and needs that package."""

import logging
from typing import TYPE_CHECKING, Any, Self

from logship.fluent import sender
from logship.worker.capture import stdlib

if TYPE_CHECKING:
    FluentRecordFormatter: Any

__all__ = ["FluentHandler", "FluentRecordFormatter"]


class FluentHandler(logging.Handler):
    """Records log records under a tag. A record that logship captures itself is not recorded a second time."""

    def __init__(self, tag: str | None, host: str = "localhost", port: int = 24224, **kwargs: Any) -> None:
        """`kwargs`: arguments of FluentSender."""
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
        """The sender; a new one after `close`."""
        if self._sender is None:
            self._sender = self.getSenderInstance(**self._make)
        return self._sender

    def emit(self, record: logging.LogRecord) -> bool:  # type: ignore[override]
        """Record one formatted log record. False if the journal refused it."""
        if stdlib.is_journalled(record):
            return True
        try:
            return self.sender.emit_with_time(None, record.created, self.format(record))
        except Exception:  # noqa: BLE001 - from a formatter: logging reports it
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
            raise ImportError("FluentRecordFormatter needs fluent-logger: pip install 'logship[fluent]'") from None
        return handler.FluentRecordFormatter
    raise AttributeError(name)
