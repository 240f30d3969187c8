"""A store that cannot group by running text, as Elasticsearch."""

from collections.abc import Sequence

from logship.errors import QuestionError
from logship.search.query import Bucket, Group, Query
from logship.store.read.reader import Reader


class WithoutTexts(Reader):
    """Rejects groups and counts by message; everything else is as in the store."""

    def groups(self, query: Query, by: Sequence[str], every_ns: int | None = None) -> list[Group]:
        if "message" in by:
            raise QuestionError("cannot group by message: its values are texts")
        return super().groups(query, by, every_ns)

    def tally(self, query: Query, by: str | None, every_ns: int | None, and_by: str | None = None) -> list[Bucket]:
        if by == "message":
            raise QuestionError("cannot group by message: its values are texts")
        return super().tally(query, by, every_ns, and_by)
