"""The full question finds in Kibana what the short one finds here: it means the same, and names nothing that Kibana lacks."""

import pytest

from logship.errors import KqlError
from logship.search.kibana import for_kibana
from logship.search.kql import And, Is, Node, Not, Or, Range, Text, parse, text_of
from logship.search.matches import matches
from logship.search.shorthand import full
from logship.search.targets import KIND_OF, MAPS
from tests.search.cases import CASES, NOW, RECORDS, REFUSED, fitting

LABELS = {f"{root}.{key}" for one in RECORDS.values() for root in MAPS for key in one.get(root, {})}


def names(node: Node | None) -> list[str]:
    match node:
        case And(parts) | Or(parts):
            return [name for part in parts for name in names(part)]
        case Not(part):
            return names(part)
        case Is(Text(name), _) | Range(Text(name), _, _):
            return [name]
    return []


@pytest.mark.parametrize("case", CASES)
def test_it_means_the_same_with_names_that_kibana_has(case: str) -> None:
    letters, text = fitting(case)
    node = for_kibana(parse(text), LABELS, NOW)
    told = parse(text_of(node))
    assert told == node
    assert "".join(letter for letter, one in RECORDS.items() if matches(told, one, NOW)) == letters
    assert [name for name in names(told) if name not in KIND_OF and not name.startswith(MAPS)] == []


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused_here_is_not_sent_to_kibana(text: str) -> None:
    with pytest.raises(KqlError, match=REFUSED[text][1]):
        for_kibana(parse(text), LABELS, NOW)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("http.response.status_code: 5xx", "http.response.status_code >= 500 and http.response.status_code < 600"),
        ("duration > 100ms and method: GET", "event.duration > 100000000 and http.request.method: GET"),
        ("method: get", "http.request.method: GET or http.request.method: get"),
        ("worker: w2", "logship.worker.slot: 2"),
        ("level: error", "log.level: error"),
        ("level > info", "log.level: warning or log.level: error or log.level: critical"),
        ("status: open", "labels.status: open"),
        ("order_id: 7", "labels.order_id: 7 or numeric_labels.order_id: 7"),
        ("order_id > 7", "numeric_labels.order_id > 7"),
        ("never: 7", "labels.never: 7"),
        ('user_agent: "a b"', 'user_agent.original: "a b"'),
    ],
)  # fmt: skip
def test_it_is_as_short_as_it_can_be(typed: str, told: str) -> None:
    labels = {"labels.status", "labels.order_id", "numeric_labels.order_id"}
    assert text_of(for_kibana(parse(typed), labels, NOW)) == told


@pytest.mark.parametrize("text", ["log.level: error", "http.request.method: GET", "event.duration > 5", "message: a b"])
def test_a_question_in_full_stays_as_it_is(text: str) -> None:
    node = parse(text)
    assert isinstance(node, Is | Range)
    assert full(node) is node or full(node) == node
