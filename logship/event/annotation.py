"""An annotation: what was done or noticed at a moment, such as "rolled back", as an event among the others."""

from logship.event.build import MODULE, time_text
from logship.event.fields import ECS_VERSION
from logship.event.redact import Redactor

ACTION = "annotation"
DATASET = "logship.annotation"


def annotation(text: str, service: str, created_ns: int, id_: str) -> dict[str, object]:
    """Return the event. `service`: "" for all services; `created_ns`: when it was written. Secrets in the text are redacted."""
    fields: dict[str, object] = {
        "ecs.version": ECS_VERSION,
        "event.id": id_,
        "event.kind": "event",
        "event.module": MODULE,
        "event.dataset": DATASET,
        "event.action": ACTION,
        "event.type": ["info"],
        "event.created": time_text(created_ns),
        "log.level": "info",
        "message": Redactor().text(text),
    }
    return fields | ({"service.name": service} if service else {})
