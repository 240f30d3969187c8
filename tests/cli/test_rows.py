"""Rows in a pipe."""

from tests.cli.conftest import Kept, Logship
from tests.cli.helpers import lines, two_services


def test_lists_are_words_in_a_pipe_and_errors_are_named(kept: Kept, logship: Logship) -> None:
    two_services(kept)
    told = logship("view", "deaths", "--source", kept.at).stdout
    assert told.rstrip().endswith("\tGET /a 3ms")
    assert "Declined" in lines(logship("search", "error: *", "--source", kept.at).stdout)[0]
