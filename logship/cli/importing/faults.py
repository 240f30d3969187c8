"""What an import could not read."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from logship.errors import QuestionError

NAMED_FAULTS = 10


@dataclass(slots=True)
class Faults:
    """The number of faults, and the sentences of the first ones."""

    count: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, fault: str) -> None:
        self.count += 1
        if len(self.named) < NAMED_FAULTS:
            self.named.append(fault)

    @contextlib.contextmanager
    def of_a_file(self) -> Iterator[None]:
        """Count a file that cannot be read to its end as a fault, so that the import continues with the next file."""
        try:
            yield
        except QuestionError as error:
            self.add(str(error))

    def __str__(self) -> str:
        more = f"; and {self.count - len(self.named):,} more" if self.count > len(self.named) else ""
        return f"skipped: {'; '.join(self.named)}{more}"
