"""A time without an offset means the same moment on the page as in the commands: local time on its date."""

from collections.abc import Callable

import httpx
import pytest

from logship.search.times import from_rfc3339
from tests.page.conftest import Served, event


@pytest.mark.usefixtures("berlin")
def test_a_summer_time_is_read_with_the_offset_of_summer(serve: Callable[..., Served]) -> None:
    served = serve()
    served.store.append([event(7, from_rfc3339("2026-07-01T10:30:00Z")), event(8, from_rfc3339("2026-01-15T11:30:00Z"))])
    for day, number in (("2026-07-01", 7), ("2026-01-15", 8)):
        query = f"since={day}T12:00&until={day}T13:00"
        found = httpx.get(f"{served.url}/api/search?{query}", timeout=20).json()["records"]
        assert [record["event.sequence"] for record in found] == [number]
        assert httpx.get(f"{served.url}/api/count?{query}", timeout=20).json() == {"count": 1}
