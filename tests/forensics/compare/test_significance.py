"""The G-test, its p-value, and the correction for many tests."""

import pytest

from logship.forensics.compare.significance import adjusted, g_test, p_value


def test_equal_ratios_have_no_g() -> None:
    assert g_test(1000, 10, 500, 5) == pytest.approx(0, abs=1e-9)


def test_g_is_that_of_a_table_computed_by_hand() -> None:
    # 2 sum O ln(O/E) for 20 of 100 against 40 of 100: expected 30 and 70 in both rows.
    assert g_test(100, 20, 100, 40) == pytest.approx(9.6635, abs=1e-3)


def test_an_empty_side_says_nothing() -> None:
    assert g_test(0, 0, 100, 40) == 0


@pytest.mark.parametrize(("g", "p"), [(0, 1), (3.841, 0.05), (6.635, 0.01), (10.828, 0.001)])
def test_p_values_are_those_of_chi_square_with_one_degree_of_freedom(g: float, p: float) -> None:
    assert p_value(g) == pytest.approx(p, rel=0.01)


def test_the_correction_is_that_of_benjamini_and_hochberg() -> None:
    assert adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_tests_that_were_made_and_are_not_listed_count() -> None:
    assert adjusted([0.001], tests=100) == pytest.approx([0.1])
