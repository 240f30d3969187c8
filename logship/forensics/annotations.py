"""Annotations of a time range: what people noted at a moment with `logship annotate`."""

from dataclasses import dataclass
from typing import Any

from logship.event.annotation import ACTION
from logship.search.kql import equal, every, text_of
from logship.search.query import Page, Query, Source
from logship.search.times import from_rfc3339, rfc3339

MOST = 200


@dataclass(frozen=True, slots=True)
class Annotation:
    """`service`: "" if it is about all services. `query`: KQL that finds the event."""

    time_ns: int
    text: str
    service: str
    query: str

    def as_json(self) -> dict[str, Any]:
        """Return the annotation as documented, its time as RFC 3339."""
        return {"time": rfc3339(self.time_ns), "text": self.text, "service": self.service}


def annotations(source: Source, query: Query) -> list[Annotation]:
    """Return the annotations of the time range of `query`, oldest first, at most the newest `MOST`.

    Its condition is not applied: a note about another service, or about all, may explain what happened."""
    where = equal("event.action", ACTION)
    page = Page(MOST, columns=("event.id", "message", "service.name"))
    records = source.search(Query(where, query.since_ns, query.until_ns), page).records
    return [
        Annotation(
            from_rfc3339(record["@timestamp"]), str(record.get("message", "")), str(record.get("service.name", "")),
            text_of(every(where, equal("event.id", str(record.get("event.id", ""))))),
        )
        for record in reversed(records)
    ]  # fmt: skip
