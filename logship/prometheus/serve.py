"""An HTTP server with the metrics of workers, for `LOGSHIP_METRICS` and `logship run --metrics`."""

import socket
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import ThreadingWSGIServer, make_wsgi_app

# A scraper that sends nothing would keep its thread.
IDLE_SECONDS = 10.0


class _Handler(WSGIRequestHandler):
    timeout = IDLE_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Log nothing: the output of a service is its own."""


class MetricServer(ThreadingWSGIServer):
    """Answers each request in a separate thread."""

    timeout = 0  # `handle_request` does not wait

    def server_bind(self) -> None:
        """Bind without the reverse DNS query of the base class."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Write nothing to stderr: a scraper may disconnect at any time."""


class _MetricServer6(MetricServer):
    address_family = socket.AF_INET6


def listen(host: str, port: int, registry: CollectorRegistry) -> MetricServer:
    """Return a server that listens on this address. Its owner calls `handle_request` or `serve_forever`. OSError."""
    kind = _MetricServer6 if ":" in host else MetricServer
    return make_server(host, port, make_wsgi_app(registry), kind, _Handler)
