"""An estimate: a number with its derivation and its confidence."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

# measured: read from events; modelled: a formula over measured numbers; uncertain: a formula over a bound or few numbers;
# unknown: without a value, and `derived` says what is missing.
Confidence: TypeAlias = Literal["measured", "modelled", "uncertain", "unknown"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """`value` in `unit`, None if it is unknown; `text`: for display. `low` and `high`: its range, where one is known."""

    name: str
    value: float | None
    unit: str
    text: str
    derived: str
    confidence: Confidence
    low: float | None = None
    high: float | None = None


def unknown(name: str, unit: str, missing: str) -> Estimate:
    """Return an estimate without a value."""
    return Estimate(name, None, unit, "unknown", missing, "unknown")
