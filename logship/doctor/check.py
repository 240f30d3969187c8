"""The result of one check."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """What was checked and found. `advice`: the next step, empty if there is nothing to do.

    `mark`: good; look (it works, but deserves attention); wrong."""

    mark: Literal["good", "look", "wrong"]
    what: str
    found: str
    advice: str = ""
