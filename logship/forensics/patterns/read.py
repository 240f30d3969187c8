"""Count the distinct messages of a query: by their recorded template, otherwise by their text.

Where messages cannot be grouped by their text and are too many to read, the number of those that were not read is stated."""

from collections import Counter
from dataclasses import dataclass, field

from logship.event.annotation import DATASET
from logship.forensics.by_text import newest_by_text
from logship.search import kql
from logship.search.query import Query, Source
from logship.search.views import BEATS

TEMPLATE = "logship.message.template"
# The message of a request is its request line, and that of a heartbeat its counters: they have views. Nobody logged notes.
LOG_LINES = f'message: * and not event.dataset: ("logship.request" or "{DATASET}") and not {BEATS}'


@dataclass(slots=True)
class Messages:
    """Events by `templates` and, of those without one, by `texts`. `unread`: events that were not grouped."""

    templates: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    unread: int = 0

    def total(self) -> int:
        """Return the number of all events."""
        return self.templates.total() + self.texts.total() + self.unread


def messages(source: Source, query: Query) -> Messages:
    """Return the log messages of `query` with their counts. Requests and heartbeats are not among them."""
    lines = query.narrowed(kql.parse(LOG_LINES))
    result = Messages()
    for bucket in source.tally(lines.narrowed(kql.existing(TEMPLATE)), TEMPLATE, None):
        result.templates[bucket.key] += bucket.events
    result.texts, result.unread = newest_by_text(source, lines.narrowed(kql.Not(kql.existing(TEMPLATE))), "message")
    return result
