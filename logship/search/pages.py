"""Results without a limit, in constant memory: all records of a query page by page, and the position of a tail."""

from collections.abc import Iterator
from dataclasses import replace

from logship.errors import QuestionError
from logship.event.fields import BY_NAME
from logship.search.query import Page, Query, Record, Source, Streams
from logship.search.times import from_rfc3339

# A page is in memory twice, as rows and as text: 10,000 rows of the usual size take 30 MB, and each page costs a query.
PAGE_ROWS = 10_000
# The limit of common spreadsheets. A row of 125,000 columns has 125 KB even if all of them are empty.
LIMIT_COLUMNS = 16_384


def record_pages(
    source: Source, query: Query, page_rows: int = PAGE_ROWS, columns: tuple[str, ...] = ()
) -> Iterator[list[Record]]:
    """Yield all records of `query`, oldest first, page by page. Records that arrive meanwhile may be missing.

    `page_rows`: the size of a page, for sources that cannot stream. `columns`: only these fields of each record."""
    if isinstance(source, Streams) and not columns:
        return source.every(query)
    return _paged(source, query, Page(page_rows, newest_first=False, columns=columns))


def _paged(source: Source, query: Query, page: Page) -> Iterator[list[Record]]:
    while True:
        rows = source.search(query, page)
        if rows.records:
            yield rows.records
        if rows.next is None or not rows.records:
            return
        # The remaining records are not older than the last one: this condition lets the store skip older files.
        last_ns = from_rfc3339(rows.records[-1]["@timestamp"])
        query = replace(query, since_ns=max(last_ns, query.since_ns if query.since_ns is not None else last_ns))
        page = replace(page, after=rows.next)


def column_names(source: Source) -> list[str]:
    """Return the names of all fields in the source: known fields in their documented order, then labels by name.

    QuestionError if there are more than LIMIT_COLUMNS."""
    names = [field.name for field in source.fields()]
    if len(names) > LIMIT_COLUMNS:
        raise QuestionError(
            f"CSV would have {len(names)} columns, one for each label; the limit is {LIMIT_COLUMNS:,}. Export NDJSON instead"
        )
    order = {name: number for number, name in enumerate(BY_NAME)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def is_ahead(position: str | None, newest: str | None) -> bool:
    """Return whether the position of a tail is beyond the newest event: the store was emptied or replaced."""
    try:
        return int(position or "") > int(newest or "")
    except ValueError:
        return False  # a position of another kind of source
