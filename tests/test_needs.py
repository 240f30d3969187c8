"""A missing program is a visible skip, and a failure where it is required; `make test` fails when any test fails."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
CI = (ROOT / ".ci/run").read_text(encoding="utf-8")
# Three ways to find out that a program is missing: by a mark, in a fixture, in a test.
TESTS = """
import pytest
from tests import needs

@needs.program("tmux", there=None, sentence="tmux is not on PATH")
def test_marked(): assert False

@pytest.fixture
def served(): needs.lacks("tmux", "no tmux here")

def test_with_a_fixture(served): assert False

def test_itself(): needs.lacks("tmux", "it is away")

@needs.program("openssl", there="/usr/bin/openssl", sentence="")
def test_that_has_what_it_needs(): pass
"""


def outcome(folder: Path, required: str) -> tuple[int, str]:
    """Status and closing line of a run of these tests in a process of its own."""
    (folder / "test_it.py").write_text(TESTS)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.conftest"]
    words += ["-c", str(ROOT / "pyproject.toml"), str(folder)]
    around = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    around |= {"LOGSHIP_REQUIRE": required, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=around, cwd=folder, capture_output=True, text=True, timeout=60)
    return done.returncode, (done.stdout + done.stderr).strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("required", "status", "said"),
    [
        ("", 0, "1 passed, 3 skipped"),
        ("chromium, openssl", 0, "1 passed, 3 skipped"),
        ("tmux", 1, "1 failed, 1 passed, 2 errors"),
        ("tmux,tmucks", 4, "LOGSHIP_REQUIRE names tmucks; known are chromium,"),
    ],
)
def test_a_missing_program_is_a_skip_and_a_failure_where_it_is_required(
    tmp_path: Path, required: str, status: int, said: str
) -> None:
    got, line = outcome(tmp_path, required)
    assert (got, said in line) == (status, True), line


def test_programs_that_tests_look_for_are_said_by_needs_alone() -> None:
    """A plain skip for a missing program would not be noticed in continuous integration."""
    plain = re.compile(r"skip(?:if)?\([^\n]*?(?:is not installed|not on (?:the )?PATH|is not on this machine)")
    found = {
        str(file.relative_to(ROOT)): match[0]
        for file in (ROOT / "tests").rglob("*.py")
        if (match := plain.search(file.read_text(encoding="utf-8"))) and file != Path(__file__)
    }
    assert set(found) <= {"tests/compose/test_stack.py", "tests/page/browsing.py"}, found  # docker; Playwright, of make env


def test_ci_installs_what_it_requires() -> None:
    installed = set(re.findall(r"^ *install (\S+) ", CI, re.MULTILINE))
    assert {"chromium", "prometheus", "faketime", "tmux"} <= installed
    required = re.search(r"LOGSHIP_REQUIRE=(\S+)", CI)
    assert required is not None
    assert {"chromium", "elasticsearch", "prometheus", "faketime", "tmux"} <= set(required[1].split(","))
    assert set(required[1].split(",")) <= set(needs.NAMES)


def runs(folder: Path, first: int, second: int) -> tuple[int, list[str]]:
    """The recipe of `make test` with a pytest that notes its arguments and ends with these statuses, one a run."""
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / "statuses").write_text(f"{first}\n{second}\n")
    fake = folder / ".venv/bin/pytest"
    fake.write_text(
        '#!/bin/sh\necho "$*" >> ran\nstatus=$(head -1 statuses)\nsed -i 1d statuses\nexit $status\n', encoding="utf-8"
    )
    fake.chmod(0o755)
    words = ["make", "-s", "-f", str(ROOT / "Makefile"), "-o", "check", "test", "TESTS=tests/state"]
    around = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(words, cwd=folder, env=around, capture_output=True, text=True, timeout=60)
    return done.returncode, (folder / "ran").read_text().splitlines()


@pytest.mark.parametrize(
    ("first", "second", "fails", "both"),
    [
        (0, 0, False, True), (1, 0, True, True), (0, 1, True, True), (5, 0, False, True), (0, 5, False, True),
        (5, 5, True, True), (2, 0, True, False), (3, 0, True, True), (0, 4, True, True),
    ],
)  # fmt: skip
def test_make_test_fails_when_one_of_its_runs_fails(
    tmp_path: Path, first: int, second: int, fails: bool, both: bool
) -> None:
    """5: no test was selected, which only one of the two may say. 2: interrupted, and the second is not begun."""
    status, ran = runs(tmp_path, first, second)
    assert (status != 0, len(ran) == 2) == (fails, both)
    assert "-m quiet" in ran[0]
    assert "-n" not in ran[0].split()
    if both:
        assert "-m not quiet" in ran[1]
        assert ran[1].endswith("tests/state")


def test_make_test_repeats_nothing() -> None:
    assert "last-failed" not in MAKEFILE
    assert "reruns" not in MAKEFILE
