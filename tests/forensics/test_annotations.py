"""Annotations are found by time alone, are marks, and are part of an incident without being a finding."""

from logship.event.annotation import annotation
from logship.forensics.annotations import annotations
from logship.forensics.incident import as_json, incident, write_up
from logship.forensics.marks import marks
from logship.search import kql
from logship.search.query import Query
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.compare.shop import BASELINE, SECOND, WINDOW, fill

START_NS = WINDOW.since_ns or 0


def noted(store: Store) -> None:
    notes = [(1, "too early", ""), (605, "<b>rolled back</b>", "shop"), (700, "database restarted", ""), (1300, "too late", "")]
    store.append([
        ((BASELINE.since_ns or 0) + second * SECOND, annotation(text, service, START_NS, f"note-{second}"))
        for second, text, service in notes
    ])  # fmt: skip


def test_notes_of_the_window_are_listed_whatever_the_condition(store: Store, source: Reader) -> None:
    noted(store)
    narrowed = Query(kql.parse("service.name: other"), WINDOW.since_ns, WINDOW.until_ns)
    found = annotations(source, narrowed)
    assert [(note.text, note.service) for note in found] == [("<b>rolled back</b>", "shop"), ("database restarted", "")]
    assert [note.time_ns - START_NS for note in found] == [5 * SECOND, 100 * SECOND]
    assert source.count(WINDOW.narrowed(kql.parse(found[0].query))) == 1


def test_they_are_marks_and_part_of_a_report(store: Store, source: Reader) -> None:
    fill(store, lambda fields, pick: {})
    noted(store)
    assert [mark.sentence for mark in marks(source, WINDOW) if mark.kind == "annotation"] == [
        "<b>rolled back</b>", "database restarted",
    ]  # fmt: skip
    report = incident(source, WINDOW, WINDOW.until_ns or 0)
    assert report.findings == []
    assert [note["text"] for note in as_json(report)["annotations"]] == ["<b>rolled back</b>", "database restarted"]
    moment = str
    assert f"note: {START_NS + 5 * SECOND} <b>rolled back</b> (shop)" in write_up.lines(report, moment)
    assert "&lt;b&gt;rolled back&lt;/b&gt; (shop)" in write_up.html(report, moment)
    assert "\\<b\\>rolled back" in write_up.markdown(report, moment)
