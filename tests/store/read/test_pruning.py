"""Which ids a query needs: never too few."""

import pytest

from logship.search.kql import parse
from logship.search.meaning import meaning
from logship.store.read.pruning import wanted_ids


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("http.request.id: abc", {"abc"}),
        ('request_id: "abc"', {"abc"}),
        ("http.request.id: (a or b)", {"a", "b"}),
        ("event.id: x or trace.id: y", {"x", "y"}),
        ("status >= 500 and trace.id: y", {"y"}),
        ("(trace.id: a or trace.id: b) and http.request.id: c", {"c"}),
        ("not trace.id: y", None),
        ("trace.id: y or status: 500", None),
        ("trace.id: a*", None),
        ("trace.id: *", None),
        ("span.id: s", None),
        ("abc", None),
        ("labels.trace.id: y", None),
        ("", None),
        ("trace.id: (" + " or ".join(f"t{number}" for number in range(101)) + ")", None),
    ],
)
def test_wanted_ids(query: str, wanted: set[str] | None) -> None:
    # A name that is an alias and may be a label as well: the label has the value, whatever the ids are.
    found = wanted_ids(meaning(parse(query), 0, is_label=lambda _: False))
    assert (None if found is None else {id_ for _, id_ in found}) == wanted


def test_an_alias_that_is_also_a_label_may_match_any_row() -> None:
    assert wanted_ids(meaning(parse("request_id: abc"), 0, is_label=lambda _: True)) is None
