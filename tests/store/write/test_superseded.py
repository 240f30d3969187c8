"""Superseded files are all removed, and none that must stay, whichever threads do it."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from logship.store.files import Segment, log_name
from logship.store.write.superseded import Superseded

FILES = 400


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads take turns after each few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient")
def test_threads_that_add_keep_and_remove_at_once_skip_no_file(tmp_path: Path) -> None:
    logs = [tmp_path / log_name(number) for number in range(FILES)]
    for log in logs:
        log.touch()
    superseded, done = Superseded(), threading.Event()

    def remove() -> None:
        while not done.is_set():
            superseded.remove_all()
            superseded.keep(Segment(FILES, FILES, 0, 0, 0))  # holds none of them

    removing = [threading.Thread(target=remove) for _ in range(3)]
    for thread in removing:
        thread.start()
    for log in logs:
        superseded.add(log)
    done.set()
    for thread in removing:
        thread.join()
    superseded.remove_all()
    assert [log.name for log in logs if log.exists()] == []


def test_what_a_damaged_segment_superseded_stays(tmp_path: Path) -> None:
    logs = [tmp_path / log_name(number) for number in range(4)]
    for log in logs:
        log.touch()
    superseded = Superseded()
    superseded.add(*logs)
    superseded.keep(Segment(1, 2, 10, 0, 0))
    superseded.remove_due()
    assert len(superseded) == 2
    superseded.remove_all()
    assert [log.exists() for log in logs] == [False, True, True, False]
