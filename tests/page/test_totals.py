"""The total of the chart, of the list and of the count are one number, for any question, window and split."""

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.page.conftest import Shown

CONDITIONS = (
    "http.response.status_code >= 500",
    "not http.response.status_code: 200",
    "service.node.name: *w1",
    "http.route: \"/orders/{id}\"",
    "event.dataset: logship.app",
    "labels.plan: (team or free)",
    "event.duration > 20000000",
    "checkout",
    "error.type: *",
    "event.action: worker-*",
)
MINUTE = 60 * 10**9

questions = st.recursive(
    st.sampled_from(CONDITIONS),
    lambda inner: st.tuples(inner, st.sampled_from(("and", "or")), inner).map(lambda three: f"({' '.join(three)})"),
    max_leaves=3,
) | st.just("")


@pytest.fixture(scope="module")
def client(shown: Shown) -> Any:
    with httpx.Client(base_url=shown.url, timeout=60) as client:
        yield client


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    question=questions,
    window=st.tuples(st.integers(-MINUTE * 16, MINUTE), st.integers(-MINUTE * 16, MINUTE)).map(sorted),
    every=st.sampled_from((10**9, 10**10, MINUTE, 7 * 10**9)),
    by=st.sampled_from((None, "http.response.status_code", "service.node.name", "log.level", "labels.plan")),
)
def test_chart_list_and_count_agree(
    client: httpx.Client, shown: Shown, question: str, window: list[int], every: int, by: str | None
) -> None:
    asked: dict[str, Any] = {"q": question, "since_ns": shown.now_ns + window[0], "until_ns": shown.now_ns + window[1]}
    split = {"by": by} if by else {}
    chart = sum(one["events"] for one in client.get("/api/tally", params=asked | split | {"every_ns": every}).json()["buckets"])
    count = client.get("/api/count", params=asked).json()["count"]
    listed, after = 0, None
    while True:
        rows = client.get("/api/search", params=asked | {"limit": 700} | ({"after": after} if after else {})).json()
        listed, after = listed + len(rows["records"]), rows["next"]
        if after is None:
            break
    assert chart == listed == count
