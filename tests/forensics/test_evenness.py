"""The size and the significance of a difference from expected shares."""

import pytest

from logship.forensics.evenness import chi2_tail, evenness


# Critical values of chi-square as printed in tables.
@pytest.mark.parametrize(
    ("value", "degrees", "p"),
    [
        (3.841, 1, 0.05), (6.635, 1, 0.01), (5.991, 2, 0.05), (11.345, 3, 0.01), (18.307, 10, 0.05), (20.515, 5, 0.001),
        (124.342, 100, 0.05), (1074.679, 1000, 0.05), (0.0, 4, 1.0),
    ],
)  # fmt: skip
def test_the_tail_is_that_of_the_tables(value: float, degrees: int, p: float) -> None:
    assert chi2_tail(value, degrees) == pytest.approx(p, rel=2e-3)


def test_a_huge_value_has_no_chance() -> None:
    assert chi2_tail(1e6, 7) == 0.0


def test_equal_shares_have_the_index_of_jain() -> None:
    counts = [3.0, 1.0, 1.0]
    assert evenness(counts, [1.0] * 3).effective == pytest.approx(sum(counts) ** 2 / sum(count**2 for count in counts))


def test_what_was_expected_is_even() -> None:
    judged = evenness([300, 100], [3, 1])
    assert (judged.p, judged.cramers_v, judged.effective) == (1.0, 0.0, 2.0)


def test_counts_that_belong_together_are_fewer() -> None:
    alone, together = evenness([60, 40], [1, 1]), evenness([60, 40], [1, 1], units=10)
    assert alone.p < 0.05 < together.p
    assert alone.cramers_v == together.cramers_v


def test_nothing_to_compare_is_even() -> None:
    assert evenness([], []).effective == 0
    assert evenness([5], [1]).p == 1.0
    assert evenness([0, 0], [1, 1]).cramers_v == 0
