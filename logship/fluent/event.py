"""`fluent.event` over the journal."""

from typing import Any

from logship.fluent import sender


class Event:
    """Journals one event through the global sender, or through `sender`; `time` is its time."""

    def __init__(self, label: str | None, data: dict[str, Any], **kwargs: Any) -> None:
        if not isinstance(data, dict):
            raise AssertionError("data must be a dict")  # noqa: TRY004 - as fluent-logger does
        to = kwargs.get("sender") or sender.get_global_sender()
        if to is None:
            raise RuntimeError("no sender: call logship.fluent.setup(tag) first, or give sender=")
        to.emit_with_time(label, kwargs.get("time"), data)
