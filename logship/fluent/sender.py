"""`fluent.sender` over the journal."""

import errno
import struct
import threading
from collections.abc import Callable
from typing import Any, Self

from logship.event.entry import EVENT_TIME
from logship.settings import load
from logship.worker import configure, registry
from logship.worker.capture import fluent

_global_sender: "FluentSender | None" = None


class EventTime:
    """A time with nanoseconds. `data`: seconds and nanoseconds, each 4 bytes, big-endian. ValueError after the year 2106."""

    code = 0

    def __init__(self, timestamp: float, nanoseconds: int | None = None) -> None:
        seconds = int(timestamp)
        rest = int(timestamp % 1 * 10**9) if nanoseconds is None else nanoseconds
        try:
            self.data = EVENT_TIME.pack(seconds, rest)
        except struct.error as error:
            raise ValueError(f"invalid timestamp {timestamp!r}: EventTime holds seconds from 1970 to 2106 ({error})") from None

    @classmethod
    def from_unix_nano(cls, unix_nano: int) -> "EventTime":
        """Return the EventTime of a time in nanoseconds since 1970."""
        return cls(*divmod(unix_nano, 10**9))


class FluentSender:
    """Records events under a tag. `host` and `port` are the agent, unless `LOGSHIP_AGENT` or `configure` names one.

    `bufmax`, `timeout`, `buffer_overflow_handler`, `msgpack_kwargs`, `queue_maxsize`, `queue_circular` and
    `queue_overflow_handler` are accepted and ignored: the limits of the journal are settings."""

    def __init__(
        self,
        tag: str | None,
        host: str = "localhost",
        port: int = 24224,
        bufmax: int = 1 * 1024 * 1024,
        timeout: float = 3.0,
        verbose: bool = False,
        buffer_overflow_handler: Callable[[bytes], None] | None = None,
        nanosecond_precision: bool = False,
        msgpack_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.tag = tag
        self.host = host
        self.port = port
        self.verbose = verbose
        self.nanosecond_precision = nanosecond_precision
        self._closed = False
        self._last_error_threadlocal = threading.local()
        if not registry.is_configured():
            _configure(host, port)

    def emit(self, label: str | None, data: object) -> bool:
        """Record `data` under the tag and `label`, now. False if the journal refused it, or after `close`. Never waits."""
        return self.emit_with_time(label, None, data)

    def emit_with_time(self, label: str | None, timestamp: object, data: object) -> bool:
        """Record `data` at `timestamp`: seconds as a number, an EventTime (also fluent-logger's), or None for now."""
        if self.verbose:
            print((f"{self.tag}.{label}" if label else self.tag, timestamp, data))  # noqa: T201 - as fluent-logger does
        if self._closed:
            return False
        kept = fluent.emit(self.tag, label, timestamp, data)
        if not kept:
            self.last_error = OSError(errno.ENOBUFS, "the journal is full or not writable; the event is counted as dropped")
        return kept

    @property
    def last_error(self) -> Exception | None:
        """The reason why the last refused event of this thread was refused, or None."""
        return getattr(self._last_error_threadlocal, "exception", None)

    @last_error.setter
    def last_error(self, error: Exception | None) -> None:
        self._last_error_threadlocal.exception = error

    def clear_last_error(self, _thread_id: int | None = None) -> None:
        """Clear `last_error` of this thread."""
        self._last_error_threadlocal.__dict__.pop("exception", None)

    def close(self) -> None:
        """Accept no more events. Those in the journal are still shipped, by this process or the next."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _configure(host: str, port: int) -> None:
    """Configure logship for a program that only uses fluent-logger: the sender's address is the agent."""
    configure.configure_from_environment()
    if "agent" not in load(ignored=bool).origins:
        configure.configure(agent=host if host.startswith("unix://") else f"{host}:{port}")


def _set_global_sender(sender: FluentSender | None) -> None:
    """[For testing] Set the global sender directly."""
    global _global_sender
    _global_sender = sender


def setup(tag: str | None, **kwargs: Any) -> None:
    """Create the global sender, which `Event` uses."""
    _set_global_sender(FluentSender(tag, **kwargs))


def get_global_sender() -> FluentSender | None:
    """Return the global sender; None before `setup`."""
    return _global_sender


def close() -> None:
    """Close the global sender."""
    if _global_sender is not None:
        _global_sender.close()
