"""Series of requests: methods and routes are limited, and every request has a series."""

from logship.state.metric_file import MetricFacts, MetricFile, label_values
from logship.worker.metrics.series import MOST_ROUTES, SeriesIndex


def labels(file: MetricFile) -> set[tuple[str, str, str]]:
    return {label_values(packed) for packed in file.copy().series}


def test_methods_of_clients_are_one_series() -> None:
    file = MetricFile(None, MetricFacts())
    index = SeriesIndex(file)
    assert index.of("GET", "/a", 200) != index.of("GET", "/a", 404)
    assert index.of("X" * 60_000, "/a", 200) == index.of("PROPFIND", "/a", 200)
    assert index.of("GET", None, 404) == index.of("GET", "", 404)
    assert ("_OTHER", "/a", "200") in labels(file)


def test_routes_beyond_the_limit_share_a_series() -> None:
    file = MetricFile(None, MetricFacts())
    index = SeriesIndex(file)
    made = [index.of("GET", f"/{number}", 200) for number in range(MOST_ROUTES + 50)]
    assert len(set(made)) == MOST_ROUTES + 1
    assert index.of("GET", "/0", 200) == made[0]
    assert ("GET", "other", "200") in labels(file)


def test_a_full_file_still_has_a_series_for_everything() -> None:
    file = MetricFile(None, MetricFacts())
    index = SeriesIndex(file)
    made = {index.of("GET", f"/{number % 300}", status) for number in range(300) for status in range(100, 600, 7)}
    assert len(made) == len(labels(file)) - 1  # and the series for what does not fit
    assert ("GET", "other", "107") in labels(file)
    for number in range(200):
        index.of("PUT", f"/{number}", 1000 + number)
    assert file.room() == 0
    assert label_values(next(iter(file.copy().series))) == ("_OTHER", "other", "0")
    assert index.of("PUT", "/new", 7) == index.of("DELETE", "/new", 8)
