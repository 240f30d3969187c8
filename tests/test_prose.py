"""The rules of tests/prose.py: each rejects its sample, and a rejected text is reported with its place."""

import re

import pytest

from tests import prose


@pytest.mark.parametrize("rule", prose.RULES, ids=lambda rule: rule.sample)
def test_a_rule_rejects_its_sample(rule: prose.Rule) -> None:
    assert re.search(rule.pattern, rule.sample, re.IGNORECASE)


@pytest.mark.parametrize(
    "text",
    [
        "There is no collector.",
        "The file is no longer read.",
        "The journal outlives the process; the connection is closed.",
        "Run the command and read its answer.",
    ],
)
def test_plain_text_passes(text: str) -> None:
    assert list(prose.problems(prose.Text("README.md", 1, text), [text])) == []


def test_a_problem_names_file_line_and_a_better_wording() -> None:
    content = "Fine.\n\nAn age is no number.\n"
    (message,) = prose.problems(prose.Text("docs/x.md", 1, content), content.split("\n"))
    assert message == "docs/x.md:3: 'is no number': write is not a ..."


def test_code_in_markdown_is_not_checked() -> None:
    page = "Run `is no x`:\n\n```sh\nis no y\n```\n\n    is no z\n\n[link](is no w)\n"
    assert list(prose.problems(prose.Text("docs/x.md", 1, prose.markdown(page)), page.split("\n"))) == []


def test_strings_and_comments_of_python_are_checked() -> None:
    module = 'X = "a port is no number"  # whoever reads\n'
    messages = [m for text in prose.python("x.py", module) for m in prose.problems(text, module.split("\n"))]
    assert len(messages) == 2


def test_a_line_may_be_exempt() -> None:
    module = 'X = "a port is no number"  # prose: ok, quoted from the standard\n'
    assert [m for text in prose.python("x.py", module) for m in prose.problems(text, module.split("\n"))] == []
