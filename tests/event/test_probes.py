import pytest

from logship.event.probes import Probes
from logship.settings import Settings

DEFAULT = Probes(Settings().probes)


@pytest.mark.parametrize("path", ["/health", "/health/", "/healthz", "/health/live", "/livez", "/readyz", "/metrics"])
def test_the_usual_probes_are_probes(path: str) -> None:
    assert DEFAULT.match(path)


@pytest.mark.parametrize(
    "path",
    ["/healthcare/patients/7", "/health-insurance/claims", "/health/records/7", "/", "/pingpong", "/a/health", ""],
)
def test_routes_that_begin_like_a_probe_are_requests(path: str) -> None:
    assert not DEFAULT.match(path)


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/internal/*", "/internal/a/b", True),
        ("/internal/*", "/internal", False),
        ("/internal/*", "/internals/a", False),
        ("/health*", "/healthz", True),
        ("/health*", "/healthz/deep", False),
        ("/*/health", "/shop/health", True),
        ("/*/health", "/shop/a/health", False),
        ("/a.b", "/axb", False),
        ("/", "/", True),
        ("/a/", "/a", True),
    ],
)
def test_a_star_stands_for_anything_within_a_segment(pattern: str, path: str, matches: bool) -> None:
    assert Probes((pattern,)).match(path) is matches


def test_without_patterns_nothing_is_a_probe() -> None:
    assert not Probes(()).match("/")
