"""Lives of workers as a store receives them."""

from collections.abc import Iterable, Mapping

from logship.store.write.store import Store
from tests.store.events import BEGIN_NS, LIFE, Entry

SECOND = 10**9
# Lives that are judged begin well after the store's first event.
START_NS = BEGIN_NS + 3600 * SECOND


def worker_event(
    sequence: int, action: str, *, life: str = LIFE, slot: int = 0, at_s: float | None = None, **fields: object
) -> Entry:
    """One event of a worker; without `at_s` a second after the one before."""
    at_ns = START_NS + int((sequence if at_s is None else at_s) * SECOND)
    return at_ns, {
        "event.id": f"{life}-{sequence:012d}", "event.sequence": sequence, "event.action": action,
        "event.dataset": "logship.request" if action == "http-request" else "logship.worker",
        "service.name": "shop", "service.ephemeral_id": life, "service.node.name": f"h/shop/w{slot}",
        "logship.worker.slot": slot, "logship.worker.generation": 1, "process.pid": 100 + slot,
        **{name.replace("__", "."): value for name, value in fields.items()},
    }  # fmt: skip


def beat(
    sequence: int, action: str = "worker-heartbeat", dropped: Mapping[str, int] | None = None, **more: object
) -> Entry:
    """A heartbeat, or an end record, with its counters."""
    entry = worker_event(sequence, action, **more)  # type: ignore[arg-type]
    entry[1].update({"logship.emitted": sequence, "logship.acknowledged": sequence - 1})
    entry[1].update({f"logship.dropped.{reason}": events for reason, events in (dropped or {}).items()})
    return entry


def requests(sequences: Iterable[int], **more: object) -> list[Entry]:
    """Requests with these sequences."""
    return [worker_event(sequence, "http-request", **more) for sequence in sequences]  # type: ignore[arg-type]


def older_event(store: Store) -> None:
    """Make the store older than every life that is judged."""
    store.append([(BEGIN_NS, {"message": "the store's first event"})])
