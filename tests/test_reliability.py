"""The table of docs/reliability.md: each row names a test that is there and prints it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and "::test_" in line
]


def test_there_are_rows() -> None:
    assert ROWS
    assert all(len(cells) == 7 for cells in ROWS)


@pytest.mark.parametrize("cells", ROWS, ids=[cells[0] for cells in ROWS])
def test_a_row_is_printed_by_the_test_that_it_names(cells: list[str]) -> None:
    file, name = cells[-1].strip("`").split("::")
    source = (ROOT / "tests" / "proofs" / file).read_text(encoding="utf-8")
    body = re.split(r"^(?=def |async def )", source, flags=re.MULTILINE)
    (test,) = [part for part in body if part.startswith(f"def {name}(")]
    assert "row(" in test
    assert cells[0] in test
    assert all(re.fullmatch(r"[0-9,]+", cell) for cell in cells[3:6]), "numbers from a run"
