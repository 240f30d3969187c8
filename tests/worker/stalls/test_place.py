"""The line of several samples."""

import sys
from pathlib import Path

import pytest

from logship.event.redact import Redactor
from logship.worker.stalls.application import Application
from logship.worker.stalls.place import place_of, shown_file
from logship.worker.stalls.stack import Call, depth, stack_of

LOOP = Call("/srv/shop.py", 10, "work", "shop")


def test_the_most_frequent_line_of_the_most_frequent_function_is_named() -> None:
    lines = [(LOOP._replace(line=line),) for line in (10, 11, 11, 12)]
    other = [(Call("/srv/shop.py", 90, "other", "shop"),)] * 3
    place = place_of([*other, *lines], Application(), Redactor(()), "AnyIO worker thread")
    assert place is not None
    assert str(place) == "work (/srv/shop.py:11)"
    assert place.thread == "AnyIO worker thread"
    assert place.fields()["error.id"] != place_of(other, Application(), Redactor(())).fields()["error.id"]  # type: ignore[union-attr]
    assert place_of([()], Application(), Redactor(())) is None


def test_secrets_in_the_source_are_redacted(tmp_path: Path) -> None:
    source = tmp_path / "shop.py"
    source.write_text('connect(password="hunter2-and-more")\n')
    place = place_of([(Call(str(source), 1, "work", "shop"),)], Application(), Redactor(()))
    assert place is not None
    assert "hunter2" not in place.stack
    assert "connect(" in place.stack


def test_a_file_is_shown_below_its_import_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/srv", "/srv/shop/vendored"])
    assert shown_file("/srv/shop/orders.py") == "shop/orders.py"
    assert shown_file("/srv/shop/vendored/x.py") == "x.py"
    assert shown_file("/opt/other.py") == "/opt/other.py"


def test_a_stack_is_read_innermost_first_without_the_outermost() -> None:
    frame = sys._getframe()
    calls = stack_of(frame, depth(frame) - 1)
    assert [call.function for call in calls] == ["test_a_stack_is_read_innermost_first_without_the_outermost"]
    assert stack_of(frame, 10_000) == ()
    assert stack_of(None) == ()
