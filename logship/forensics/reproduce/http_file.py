"""Requests as a .http file, which the REST clients of VS Code and JetBrains send: requests separated by ###, comments with #."""

from collections.abc import Sequence

from logship.event.invisible import visible
from logship.forensics.reproduce.request import Reproduction, reproduction
from logship.search.query import Record


def http_file(records: Sequence[Record], base: str = "") -> str:
    """Return the file. QuestionError if a record has no request that can be sent again."""
    return "\n".join(_entry(record, reproduction(record, base)) for record in records)


def _entry(record: Record, request: Reproduction) -> str:
    status, id_ = record.get("http.response.status_code", "none"), record.get("http.request.id", "")
    title = f"{record['@timestamp'][:19]}Z status {status} id {id_}"
    lines = [
        f"### {visible(title)}",
        f"# not recorded: {'; '.join(request.not_recorded)}",
        f"{request.method} {request.url} HTTP/1.1",
        *(f"{name}: {value}" for name, value in request.headers),
    ]
    return "\n".join([*lines, "", ""])
