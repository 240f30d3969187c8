"""Which server calls us, read from the stack: for servers that are not patched, or not yet."""

from collections.abc import Mapping
from typing import Any

from logship.worker.server_info import ServerInfo
from logship.worker.servers import common, gunicorn, uvicorn


def server_info(scope: Mapping[str, Any] | None) -> ServerInfo:
    """Return what is known of the server that calls us. `scope`: of the first request, or None during lifespan."""
    if common.known_server is not None:
        return common.known_server
    for caller in common.callers():
        if uvicorn.is_config(getattr(caller, "config", None)):
            return uvicorn.info(caller.config, ())
        if gunicorn.is_worker(caller):
            return gunicorn.info(caller, "gunicorn", reports_shutdown=scope is None)
    address = common.address_of((scope or {}).get("server"))
    return ServerInfo(
        instance=common.instance_name(address), reports_shutdown=scope is None, host=address[0], port=address[1]
    )


def lifespan_server(scope: Mapping[str, Any]) -> tuple[object, bool]:
    """Return an object that identifies the server of this lifespan, and whether that server requires lifespan.

    The object is the lifespan's scope if nothing else is known. A server that requires lifespan stops when it fails."""
    for caller in common.callers():
        config = getattr(caller, "config", None)
        if uvicorn.is_config(config):
            return config, getattr(config, "lifespan", "") == "on"
        if gunicorn.is_worker(caller):
            return scope, getattr(caller.cfg, "asgi_lifespan", "") == "on"
    return scope, False
