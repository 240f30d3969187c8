"""Events for stores, in few words."""

from typing import Any

from logship.search.times import from_rfc3339

BEGIN_NS = from_rfc3339("2026-11-20T10:00:00Z")
LIFE = "0123456789abcdef01234567"
OTHER = "89abcdef0123456789abcdef"

Entry = tuple[int, dict[str, Any]]


def event(sequence: int, life: str = LIFE, *, at_ns: int | None = None, **fields: object) -> Entry:
    """One event of ours, a millisecond after the one before; `http__route="/x"` gives the field http.route."""
    given = {name.replace("__", "."): value for name, value in fields.items()}
    return (
        BEGIN_NS + sequence * 10**6 if at_ns is None else at_ns,
        {
            "event.id": f"{life}-{sequence:012d}",
            "event.sequence": sequence,
            "service.ephemeral_id": life,
            "message": f"GET /orders/{sequence} 200 1ms",
            **given,
        },
    )


def events(low: int, high: int, life: str = LIFE) -> list[Entry]:
    """The events `low` to `high`, both included."""
    return [event(sequence, life) for sequence in range(low, high + 1)]
