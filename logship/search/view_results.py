"""Running a view of the catalogue on a source."""

from typing import TypeAlias

from logship.search import kql
from logship.search.query import Bucket, Page, Query, Rows, Share, Source, Stat
from logship.search.views import View

ViewResult: TypeAlias = Rows | list[Bucket] | list[Share] | list[Stat]


def query_of(view: View, within: Query, id: str = "") -> Query:  # noqa: A002 - the word people know
    """Return the query of a view, limited to the condition and the times of `within`. `id`: for views that need one."""
    text = view.where
    if view.needs_id:
        text = text.format(id.replace("\\", "\\\\").replace('"', '\\"'))
    return within.narrowed(kql.parse(text))


def result_of(
    source: Source,
    view: View,
    within: Query,
    every_ns: int,
    limit: int = 100,
    id: str = "",  # noqa: A002
) -> ViewResult:
    """Return the result of a view: `Rows`, buckets, shares or statistics, depending on its shape.

    `every_ns`: the width of buckets, for views over time; `limit`: the maximum number of rows and values."""
    query = query_of(view, within, id)
    times = every_ns if view.over_time else None
    match view.shape:
        case "rows":
            # The service is shown where there are several.
            columns = (*view.columns, "service.name") if view.columns else ()
            return source.search(query, Page(limit, not view.needs_id, None, columns, view.greatest))
        case "counts":
            return source.tally(query, view.split, times, view.and_split)
        case "values":
            return source.top(query, view.split or "", limit)
        case "numbers":
            return source.stats(query, view.number, view.split, times)
