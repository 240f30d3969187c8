"""Which series of the metrics a request counts in: by method, route and status, limited in number."""

from typing import Final

from logship.state.metric_file import MetricFile, labels_of

# OpenTelemetry's semantic conventions for HTTP: other methods, which clients choose, are `_OTHER`.
METHODS: Final = frozenset(("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"))
OTHER_METHOD: Final = "_OTHER"
OTHER_ROUTE: Final = "other"
MOST_ROUTES: Final = 400
# Room for the requests of further routes, by method and status.
RESERVED: Final = 120


class SeriesIndex:
    """Chooses a series of `file` for each kind of request. Routes beyond `MOST_ROUTES` share the route `other`."""

    def __init__(self, file: MetricFile) -> None:
        self._file = file
        self._routes: set[str] = set()
        rest = file.series(labels_of(OTHER_METHOD, OTHER_ROUTE, 0))
        assert rest is not None
        self._rest = rest

    def of(self, method: str, route: str | None, status: int) -> int:
        """Return the index of the series in the cells of the file. `route`: None if no route matched."""
        method = method if method in METHODS else OTHER_METHOD
        labels = labels_of(method, self._route(route or ""), status)
        index = self._file.series(labels) if self._file.room() > RESERVED else None
        if index is None:
            index = self._file.series(labels_of(method, OTHER_ROUTE, status))
        return self._rest if index is None else index

    def _route(self, route: str) -> str:
        if route in self._routes:
            return route
        if len(self._routes) >= MOST_ROUTES:
            return OTHER_ROUTE
        self._routes.add(route)
        return route
