"""Which recorded requests have an id."""

from collections.abc import Sequence

from logship.forensics.story import story
from logship.search.query import Record, Source
from logship.state.living import Living


def requests_of(source: Source, id_: str, living: Sequence[Living]) -> list[Record]:
    """Return the requests with a request id or a trace id, oldest first: also one that is running, or was interrupted.

    `living`: the live workers of this machine, whose running requests have no record yet."""
    records = story(source, id_, living).timeline()
    requests = [record for record in records if "http.request.method" in record and "url.path" in record]
    return [record for record in requests if record.get("http.request.id") == id_] or requests
