"""Programs that some tests need. Without one they are skipped, with a sentence; where LOGSHIP_REQUIRE names it, they fail:

    LOGSHIP_REQUIRE=chromium,prometheus make test

`.ci/run` names what it has installed, so that no suite is left out there without anybody noticing."""

import os
from typing import NoReturn

import pytest

NAMES = (
    "chromium", "elasticsearch", "elasticsearch-9", "faketime", "fluent-bit", "grafana-foundation-sdk", "npm", "openssl",
    "prometheus", "tmux",
)  # fmt: skip


def required() -> frozenset[str]:
    """The programs that must be there; pytest.UsageError for a name that no test knows."""
    names = frozenset(name for name in os.environ.get("LOGSHIP_REQUIRE", "").replace(",", " ").split())
    unknown = sorted(names - set(NAMES))
    if unknown:
        raise pytest.UsageError(f"LOGSHIP_REQUIRE names {', '.join(unknown)}; known are {', '.join(NAMES)}")
    return names


def lacks(name: str, sentence: str) -> NoReturn:
    """Leave the test: skipped, or failed where `name` is required. `sentence`: what is missing and what to do."""
    assert name in NAMES
    if name in required():
        pytest.fail(f"LOGSHIP_REQUIRE names {name}, and it is missing: {sentence}", pytrace=False)
    pytest.skip(sentence)


def program(name: str, there: object, sentence: str) -> pytest.MarkDecorator:
    """A mark for tests that need a program; `there`: whether it is on this machine."""
    assert name in NAMES
    return pytest.mark.needs(name, bool(there), sentence)
