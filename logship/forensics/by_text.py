"""Count events by running text, over any source.

A store groups by text exactly, with one query. Elasticsearch cannot, and a store cannot if the texts exceed the memory for a
result: then records are read, and their texts are grouped by their beginnings."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from logship.errors import QuestionError, SourceError
from logship.search.pages import record_pages
from logship.search.query import Group, Page, Query, Record, Source
from logship.search.times import from_rfc3339

# A message is longer only if it holds a document; its beginning names the pattern.
READ_CHARACTERS = 2_000
MOST_READ = 200_000
PAGE_ROWS = 10_000
# Of distinct texts, so that 200,000 long ones do not fill the memory.
MOST_CHARACTERS = 32 * 2**20

Names = tuple[str, ...]


def all_by_text(source: Source, query: Query, names: Names, every_ns: int | None = None) -> list[Group]:
    """Return the groups of all events of `query`, as `Source.groups` does; read texts are cut to READ_CHARACTERS.

    QuestionError if they would have to be read and are more than MOST_READ: no event is left out."""
    try:
        return source.groups(query, names, every_ns)
    except (QuestionError, SourceError) as error:  # if the source is away, counting and reading fail too
        events = source.count(query)
        if events > MOST_READ:
            raise QuestionError(f"{error}; {events:,} events are too many to read (limit {MOST_READ:,})") from error
    groups = _Groups(names, every_ns)
    for records in record_pages(source, query, columns=names):
        groups.add(records)
    return groups.in_order()


def newest_by_text(source: Source, query: Query, name: str) -> tuple[Counter[str], int]:
    """Return the number of events by the text of the field `name`, and how many events are not among them.

    If they have to be read, these are the newest ones, up to MOST_READ or MOST_CHARACTERS, and the older ones are left out."""
    try:
        # For distinct texts `groups` takes more than twice as long.
        return Counter({bucket.key: bucket.events for bucket in source.tally(query, name, None)}), 0
    except (QuestionError, SourceError):
        return _newest(source, query, name)


def _newest(source: Source, query: Query, name: str) -> tuple[Counter[str], int]:
    groups, read, page, unread = _Groups((name,)), 0, Page(PAGE_ROWS, columns=(name,)), 0
    while read < MOST_READ and groups.characters < MOST_CHARACTERS:
        rows = source.search(query, page)
        groups.add(rows.records)
        read += len(rows.records)
        if rows.next is None:
            break
        page = replace(page, after=rows.next)
    else:
        unread = max(0, source.count(query) - read)
    return Counter({group.keys[0]: group.events for group in groups.in_order()}), unread


@dataclass(slots=True)
class _Groups:
    """Records that were read, counted by the beginnings of their values and by time. `characters`: of distinct keys."""

    names: Names
    every_ns: int | None = None
    characters: int = 0
    _counts: defaultdict[Names, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            keys = tuple(str(record.get(name, ""))[:READ_CHARACTERS] for name in self.names)
            if keys not in self._counts:
                self.characters += sum(map(len, keys))
            self._counts[keys][self._start_ns(record)] += 1

    def in_order(self) -> list[Group]:
        """Return the groups in the order of their keys, their buckets oldest first."""
        ordered = sorted(self._counts.items())
        return [Group(keys, *map(list, zip(*sorted(counts.items()), strict=True))) for keys, counts in ordered]

    def _start_ns(self, record: Record) -> int:
        return 0 if self.every_ns is None else from_rfc3339(record["@timestamp"]) // self.every_ns * self.every_ns
