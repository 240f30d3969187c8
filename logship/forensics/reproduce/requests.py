"""Which recorded requests have an id."""

from collections.abc import Sequence

from logship.errors import QuestionError
from logship.event.invisible import visible
from logship.forensics.story import story
from logship.search.query import Record, Source
from logship.state.living import Living


def requests_of(source: Source, id_: str, living: Sequence[Living]) -> list[Record]:
    """Return the requests with a request id or a trace id, oldest first: also one that is running, or was interrupted.

    [] for an unknown id; QuestionError if its events have no request with a method and a path. `living`: the live workers of
    this machine, whose running requests have no record yet."""
    records = story(source, id_, living).timeline()
    requests = [record for record in records if "http.request.method" in record and "url.path" in record]
    if records and not requests:
        raise QuestionError(f"the events with the id {visible(repr(id_))} have no request with a method and a path to reproduce")
    return [record for record in requests if record.get("http.request.id") == id_] or requests
