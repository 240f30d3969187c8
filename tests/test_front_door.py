"""What `import logship` exports is small and public, and the README lists exactly that."""

import inspect
import re
from pathlib import Path

import pytest

import logship

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PROMISED = re.findall(r"`(\w+)`", README.partition("The public API is")[2].partition(": ")[2].partition("\n\n")[0])


def test_the_readme_lists_what_the_front_door_exports() -> None:
    assert sorted(PROMISED) == sorted(logship.__all__)


def test_the_front_door_has_at_most_ten_names() -> None:
    assert len(logship.__all__) <= 10


@pytest.mark.parametrize("name", logship.__all__)
def test_each_name_is_there_and_says_what_it_is(name: str) -> None:
    made = getattr(logship, name)
    assert isinstance(made, str) or inspect.getdoc(made)


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) < 150
