"""What a server reveals about itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server's name, address and worker count.

    `instance`: names the address in worker names, a port or the name of a Unix socket. `slot`: the worker's number, if the
    server numbers its workers. `reports_shutdown`: whether logship notices when the server begins to shut down.
    `settle_seconds`: a worker that has waited so long for a slot, while no worker is closing, is not a replacement."""

    name: str = ""
    instance: str = ""
    workers: int | None = None
    slot: int | None = None
    reports_shutdown: bool = False
    settle_seconds: float | None = None
    host: str = ""
    port: int | None = None
