"""Notices as lines, as JSON, and for Slack."""

from dataclasses import replace

import pytest

from logship.forensics.incident.finding import Outlier
from logship.forensics.watch.memory import Memory, Notice, as_json, from_json
from logship.forensics.watch.notices import body, line
from logship.search.times import SECOND_NS, rfc3339

BEGAN_NS = 1_795_132_800 * SECOND_NS
FAILING = Outlier(
    "failing", "/a: failed requests 0.3 % -> 22 %.", "http.route: /a", (BEGAN_NS, BEGAN_NS + 10 * SECOND_NS), None, "shop", "",
    {"http.route": "/a"}, {"hits_after": 60}, 40.0,
)  # fmt: skip
BEGIN = Notice("began", "1f", BEGAN_NS + 90 * SECOND_NS, FAILING, BEGAN_NS)
END = Notice("ended", "1f", BEGAN_NS + 900 * SECOND_NS, FAILING, BEGAN_NS, BEGAN_NS + 600 * SECOND_NS)


def clock(ns: int) -> str:
    return rfc3339(ns)[11:19]


def test_a_begin_is_one_line_with_its_query() -> None:
    assert line(BEGIN, clock) == (
        "00:01:30 began critical shop failing: /a: failed requests 0.3 % -> 22 %. Began 00:00:00. query: http.route: /a"
    )


def test_an_end_says_how_long_it_lasted() -> None:
    assert "00:15:00 ended critical shop failing: " in line(END, clock)
    assert "Began 00:00:00, ended 00:10:00, after 10 min. query: " in line(END, clock)


def test_what_became_usual_has_not_ended() -> None:
    assert "it has lasted for 10 min and is now part of the baseline" in line(replace(END, usual=True), clock)


def test_json_has_the_finding_of_an_incident() -> None:
    told = END.as_json()
    assert (told["event"], told["id"], told["time"]) == ("ended", "1f", rfc3339(END.at_ns))
    assert set(told["finding"]) == {
        "kind", "severity", "sentence", "service", "worker", "fields", "began", "ended", "evidence", "query",
    }  # fmt: skip
    assert told["finding"]["ended"] == [rfc3339(BEGAN_NS + 600 * SECOND_NS)] * 2
    assert BEGIN.as_json()["finding"]["ended"] is None


@pytest.mark.parametrize("hostile", ["<!channel>", "<https://evil.example|click>", "a & b"])
def test_values_of_clients_are_neither_mentions_nor_links_in_slack(hostile: str) -> None:
    told = body(replace(BEGIN, finding=replace(FAILING, sentence=hostile)), "slack", clock)
    assert list(told) == ["text"]
    assert not {"<", ">"} & set(told["text"])


def test_control_characters_are_escaped_and_a_notice_stays_one_line() -> None:
    text = line(replace(BEGIN, finding=replace(FAILING, sentence="a\n\x1b[2Jb")), clock)
    assert "\\n\\x1b[2Jb" in text


def test_a_memory_is_the_same_after_its_json() -> None:
    memory = Memory(7, (), (BEGIN, END))
    assert from_json(as_json(memory)) == memory
    with pytest.raises(ValueError, match="version 2"):
        from_json(as_json(memory) | {"version": 2})
