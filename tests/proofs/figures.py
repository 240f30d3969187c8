"""Rows for the table of docs/reliability.md: printed by the proofs that play the fault, in full size or not.

To add a row: call `row` at the end of a proof, run it with LOGSHIP_PROVE=1 and -s, and copy what it prints into the table
with the test's name behind it (tests/test_reliability.py checks that the test is there and prints a row)."""

from tests.proofs.scene import PROVE


def row(fault: str, how: str, often: str, *, lost: int, doubled: int, wrong: int) -> None:
    """Print one row. `lost`: events that were neither stored nor counted; `wrong`: verdicts that were not the truth."""
    size = "full size" if PROVE else "short form"
    print(f"\nreliability ({size}): | {fault} | {how} | {often} | {lost} | {doubled} | {wrong} |")
