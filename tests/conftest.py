"""Shared by all rooms: `LOGSHIP_PROVE=1` (make prove) runs what is too slow for `make test`; LOGSHIP_REQUIRE as in needs.py."""

import logging
import os
import time
from collections.abc import Generator, Iterable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests import needs

PROVE = bool(os.environ.get("LOGSHIP_PROVE"))
# Tests run beside each other on few cores: how long an example takes says nothing.
settings.register_profile(
    "logship", max_examples=100 if PROVE else 40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("logship")


def first(count: int, values: Iterable[object]) -> list[object]:
    """Parameters of a test: the first `count` of `values` for `make test`, all of them for `make prove`."""
    return [pytest.param(value, marks=() if at < count else pytest.mark.prove) for at, value in enumerate(values)]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "prove: too slow for `make test`; runs with LOGSHIP_PROVE=1, as `make prove` does"
    )
    config.addinivalue_line("markers", "alone: has the Elasticsearch that tests share for itself")
    config.addinivalue_line("markers", "quiet: needs the cores for itself; `make test` runs it first, in one process")
    config.addinivalue_line("markers", "needs(name, there, sentence): a program, see tests/needs.py")
    needs.required()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip = pytest.mark.skip(reason="slow: runs with LOGSHIP_PROVE=1 (make prove)")
    for item in items:
        if not PROVE and item.get_closest_marker("prove"):
            item.add_marker(skip)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        name, there, sentence = mark.args
        if not there:
            needs.lacks(name, sentence)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test with the Elasticsearch of the run has its share of it, or all of it, from its fixtures to its end."""
    if "elastic" not in getattr(item, "fixturenames", ()):
        return (yield)
    from tests.elastic import server

    with server.lease(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """pytest's own, with each of our records in it once, whether or not a test before this one has called `configure`.

    `configure` ends the propagation of the logger "logship"; pytest then listens to it beside the root logger."""
    own = logging.getLogger("logship")
    before, own.propagate = own.propagate, False
    own.addHandler(caplog.handler)
    yield caplog
    own.removeHandler(caplog.handler)
    own.propagate = before


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The local time zone of the test is that of Berlin, with its summer time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
