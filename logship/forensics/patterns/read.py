"""Count the distinct messages of a query: by their recorded template, otherwise by their text.

A source that can group by text counts exactly with one query. Elasticsearch cannot, so the newest `MOST_READ` messages
without a template are read, and the number of the others is stated."""

from collections import Counter
from dataclasses import dataclass, field

from logship.errors import QuestionError
from logship.search import kql
from logship.search.query import Page, Query, Source
from logship.search.views import BEATS

TEMPLATE = "logship.message.template"
MOST_READ = 200_000
PAGE_ROWS = 10_000
# The message of a request is its request line, and that of a heartbeat its counters: they have views.
LOG_LINES = f'message: * and not event.dataset: "logship.request" and not {BEATS}'


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
    _add_texts(source, lines.narrowed(kql.Not(kql.existing(TEMPLATE))), result)
    return result


def _add_texts(source: Source, query: Query, result: Messages) -> None:
    try:
        for bucket in source.tally(query, "message", None):
            result.texts[bucket.key] += bucket.events
    except QuestionError:  # cannot group by text, or there are more distinct ones than a response may have
        result.texts.clear()
        read, after = 0, None
        while read < MOST_READ:
            rows = source.search(query, Page(PAGE_ROWS, after=after, columns=("message",)))
            result.texts.update(str(record.get("message", "")) for record in rows.records)
            read, after = read + len(rows.records), rows.next
            if after is None:
                return
        result.unread = max(0, source.count(query) - read)
