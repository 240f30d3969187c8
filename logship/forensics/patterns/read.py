"""Count the distinct messages of a query: by their recorded template, otherwise by their text.

A source that can group by text counts exactly with one query. Elasticsearch cannot, and a store cannot if the messages exceed
its memory: then the newest messages without a template are read, and the number of the others is stated."""

from collections import Counter
from dataclasses import dataclass, field, replace

from logship.errors import QuestionError, SourceError
from logship.event.annotation import DATASET
from logship.forensics.patterns.words import READ_CHARACTERS
from logship.search import kql
from logship.search.query import Page, Query, Source
from logship.search.views import BEATS

TEMPLATE = "logship.message.template"
MOST_READ = 200_000
PAGE_ROWS = 10_000
# Of distinct messages, so that 200,000 long ones do not fill the memory.
MOST_CHARACTERS = 32 * 2**20
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
    _add_texts(source, lines.narrowed(kql.Not(kql.existing(TEMPLATE))), result)
    return result


def _add_texts(source: Source, query: Query, result: Messages) -> None:
    try:
        for bucket in source.tally(query, "message", None):
            result.texts[bucket.key] += bucket.events
    except (QuestionError, SourceError):  # it cannot group by text, or not by so much of it; if it is away, reading fails too
        result.texts.clear()
        result.unread = _read_texts(source, query, result.texts)


def _read_texts(source: Source, query: Query, texts: Counter[str]) -> int:
    """Count the beginnings of the newest messages in `texts`; return how many events were not read."""
    read = characters = 0
    page = Page(PAGE_ROWS, columns=("message",))
    while read < MOST_READ and characters < MOST_CHARACTERS:
        rows = source.search(query, page)
        for record in rows.records:
            text = str(record.get("message", ""))[:READ_CHARACTERS]
            characters += 0 if text in texts else len(text)
            texts[text] += 1
        read += len(rows.records)
        if rows.next is None:
            return 0
        page = replace(page, after=rows.next)
    return max(0, source.count(query) - read)
