"""What a service must keep: a latency, and a utilization of its workers at the peak."""

from dataclasses import dataclass

from logship.errors import QuestionError
from logship.search.times import span

DEFAULT_LATENCY, DEFAULT_TARGET = "500ms", "70%"


@dataclass(frozen=True, slots=True)
class Wanted:
    """`latency_ns`: p95 that the service must keep; `target`: utilization of workers at the peak, above 0 to 1."""

    latency_ns: int
    target: float


def wanted_of(latency: str = DEFAULT_LATENCY, target: str = DEFAULT_TARGET) -> Wanted:
    """Return the values of texts such as `500ms` and `70%` (or `70`). QuestionError for other texts."""
    latency_ns = span(latency)
    if latency_ns <= 0:
        raise QuestionError(f"invalid latency {latency!r}: use a duration above 0, such as 500ms")
    try:
        percent = float(target.strip().removesuffix("%"))
    except ValueError:
        percent = 0.0
    if not 0 < percent <= 100:
        raise QuestionError(f"invalid target {target!r}: use a percentage above 0 and at most 100, such as 70%")
    return Wanted(latency_ns, percent / 100)
