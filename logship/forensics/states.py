"""Words for the states of workers and requests. JSON and CSV keep the values of the events."""

_OF_WORKERS = {"lost": "crashed", "ended": "stopped", "closed": "stopped"}
_OF_REQUESTS = {"lost": "interrupted"}


def worker_state(value: str) -> str:
    """Return how tables and the page show the state of a worker: alive, silent, crashed, stopped."""
    return _OF_WORKERS.get(value, value)


def request_state(value: str) -> str:
    """Return how tables show the state of a request: running, interrupted."""
    return _OF_REQUESTS.get(value, value)
