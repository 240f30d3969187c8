"""Counts of combinations are sums of the cells that contain them."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from logship.forensics.compare.combinations import Counts, combined, total

NAMES = ("route", "worker", "tenant", "status")
numbers = st.integers(0, 5)
cells = st.dictionaries(
    st.tuples(*(st.sampled_from(["", "a", "b"]) for _ in NAMES)), st.builds(Counts, numbers, numbers, numbers, numbers)
)


@given(cells)
def test_each_combination_has_the_sum_of_its_cells(cells: dict[tuple[str, ...], Counts]) -> None:
    counts = combined(NAMES, cells, 2)
    for length in (1, 2, 3):
        for chosen in combinations(range(len(NAMES)), length):
            sums: dict[tuple[tuple[str, str], ...], Counts] = {}
            for values, cell in cells.items():
                if all(values[index] for index in chosen):
                    key = tuple((NAMES[index], values[index]) for index in chosen)
                    sums[key] = sums.get(key, Counts(0, 0, 0, 0)).plus(cell)
            frequent = {key: cell for key, cell in sums.items() if cell.hits_after >= 2}
            fields = {NAMES[index] for index in chosen}
            assert {key: cell for key, cell in counts.items() if {name for name, _ in key} == fields} == frequent


def test_nothing_adds_up_to_nothing() -> None:
    assert total([]) == Counts(0, 0, 0, 0)
