"""The state directory: whose it must be, and what is made in it whatever the umask."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from logship.errors import JournalUnreadable, StateUnusable
from logship.state import home, journal_directory, mapping, orphans, survey
from logship.state.identity import Facts
from logship.state.journal import Journal
from logship.state.slots import Slots

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
NOBODY = 65534


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o711, 0o750])
def test_a_directory_that_only_its_user_may_write_is_used(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(mode)
    assert home.open_home(folder).path == folder
    assert folder.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775, 0o2770, 0o722])
@pytest.mark.parametrize("where", ["", "journals", "slots"])
def test_a_directory_that_others_may_write_is_refused_and_named(tmp_path: Path, mode: int, where: str) -> None:
    home.open_home(tmp_path / "state")
    folder = tmp_path / "state" / where
    folder.chmod(mode)
    with pytest.raises(StateUnusable, match="can be written by other users") as caught:
        home.open_home(tmp_path / "state")
    assert str(folder) in str(caught.value)
    assert "LOGSHIP_STATE_DIR" in str(caught.value)


@as_root
@pytest.mark.parametrize("where", ["", "journals"])
def test_a_directory_of_another_user_is_refused(tmp_path: Path, where: str) -> None:
    home.open_home(tmp_path / "state")
    os.chown(tmp_path / "state" / where, NOBODY, NOBODY)
    with pytest.raises(StateUnusable, match=f"belongs to uid {NOBODY}"):
        home.open_home(tmp_path / "state")


def test_a_link_in_place_of_the_journals_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "journals").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateUnusable, match="is not a directory"):
        home.open_home(tmp_path / "state")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277, 0o777])
def test_everything_is_for_its_user_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    script = f"""
import os, sys
from pathlib import Path
os.umask({umask})
from logship.state import aside, home
from logship.state.identity import Facts
from logship.state.journal import Journal
from logship.state.slots import Slots
state = home.open_home(Path(sys.argv[1]) / "above" / "state")
journal = Journal(state.journals, Facts(service="shop"), 8 << 20)
journal.prepare()
Slots(state.slots, "shop", "", 1, 2).claim_one()
aside.keep(state.path / "refused", "one", b"record")
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    modes = {path: path.lstat().st_mode & 0o777 for path in (tmp_path / "above").rglob("*")}
    modes[tmp_path / "above"] = (tmp_path / "above").stat().st_mode & 0o777
    assert {path.name for path in modes} >= {"lock", "identity", "inflight", "00000002.segment", "0.slot", "one"}
    assert {path: oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == {}


def test_a_worker_in_a_directory_that_others_may_write_goes_on_in_memory_and_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(0o777)
    script = """
import logship, logging
logship.configure(service="shop", agent="127.0.0.1:9", console="off")
for number in range(3):
    logging.getLogger("app").error("event")
from logship.worker import registry
assert registry.existing().journal.directory is None
assert registry.existing().journal.pending_events() == 3
"""
    environment = {**os.environ, "LOGSHIP_STATE_DIR": str(folder)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.count("can be written by other users (mode 0777)") == 1, done.stderr
    assert list((folder / "journals").iterdir()) == []


# What somebody may have put among the journals.


def a_journal(tmp_path: Path) -> Path:
    state = home.open_home(tmp_path / "state")
    made = Journal(state.journals, Facts(service="shop"), 8 << 20)
    assert made.directory is not None
    path = made.directory
    # As if its owner had died: another process sees it free.
    from logship.state import locks

    locks.release(path / "lock")
    return path


def test_a_linked_journal_is_neither_adopted_nor_emptied(tmp_path: Path) -> None:
    path = a_journal(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    before = sorted(one.name for one in elsewhere.iterdir())
    assert home.Home(tmp_path / "state").incarnations() == []
    with pytest.raises(JournalUnreadable):
        orphans.adopt(path)
    _, problems = survey.survey(tmp_path / "state")
    assert any(str(path) in problem for problem in problems)
    assert sorted(one.name for one in elsewhere.iterdir()) == before


def test_a_link_that_looks_half_made_is_not_swept_into(tmp_path: Path) -> None:
    state = home.open_home(tmp_path / "state")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.txt").write_text("precious")
    (state.journals / ".0123456789abcdef01234567").symlink_to(elsewhere)
    assert journal_directory.sweep_unfinished(state.path, older_than_seconds=-1) == 0
    assert (elsewhere / "precious.txt").exists()


@as_root
def test_a_journal_of_another_user_is_not_adopted(tmp_path: Path) -> None:
    path = a_journal(tmp_path)
    for one in (path, *path.iterdir()):
        os.chown(one, NOBODY, NOBODY)
    with pytest.raises(JournalUnreadable):
        orphans.adopt(path)


@as_root
def test_a_table_of_another_user_is_not_mapped(tmp_path: Path) -> None:
    path = a_journal(tmp_path)
    os.chown(path / "identity", NOBODY, NOBODY)
    with pytest.raises(JournalUnreadable, match=f"belongs to uid {NOBODY}"):
        orphans.adopt(path)


@pytest.mark.parametrize("part", ["identity", "lock", "inflight", "00000001.segment"])
def test_a_fifo_in_place_of_a_file_holds_up_nobody(tmp_path: Path, part: str) -> None:
    path = a_journal(tmp_path)
    (path / part).unlink()
    os.mkfifo(path / part)
    match part:
        case "identity":
            with pytest.raises(JournalUnreadable):
                orphans.adopt(path)
        case "lock":
            assert survey.owner(path) is None
            assert orphans.adopt(path) is None
        case _:
            orphan = orphans.adopt(path)
            assert orphan is not None
            assert list(orphan.pending()) == []
            assert orphan.end().in_flight == ()
            assert (orphan.unreadable()[1] > 0) == (part == "00000001.segment")
            orphan.set_aside()
            orphan.remove()
            assert not path.exists()


@pytest.mark.parametrize("part", ["identity", "inflight"])
def test_a_sparse_file_takes_no_memory(tmp_path: Path, part: str) -> None:
    path = a_journal(tmp_path)
    os.truncate(path / part, 3 << 30)
    assert len(mapping.read(path / part, 4096)) == 4096
    if part == "identity":
        with pytest.raises(JournalUnreadable, match="has 3221225472 bytes, not 4096"):
            orphans.adopt(path)


def test_the_slots_of_a_directory_that_is_missing_are_made(tmp_path: Path) -> None:
    state = home.open_home(tmp_path / "state")
    assert Slots(state.slots, "shop", "", 1, 1).claim_one().slot == 0
