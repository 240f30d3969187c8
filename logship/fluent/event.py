"""`fluent.event` over the journal."""

from typing import Any

from logship.fluent import sender


class Event:
    """Records one event through the global sender, or through `sender=`, at `time=`. RuntimeError if there is no sender."""

    def __init__(self, label: str | None, data: dict[str, Any], **kwargs: Any) -> None:
        if not isinstance(data, dict):
            raise AssertionError("data must be a dict")  # noqa: TRY004 - as fluent-logger does
        target = kwargs.get("sender") or sender.get_global_sender()
        if target is None:
            raise RuntimeError("no sender: call logship.fluent.setup(tag) first, or pass sender=")
        target.emit_with_time(label, kwargs.get("time"), data)
