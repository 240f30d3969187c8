"""The accept queue: connections that the kernel has established and no worker has accepted yet.

`TCP_INFO` of a listening socket has its length in `tcpi_unacked` and its limit in `tcpi_sacked` (Linux, net/ipv4/tcp.c). Workers
that share a socket report the same queue. Unix sockets do not report it."""

import contextlib
import os
import socket
import struct
import sys
from typing import Final, NamedTuple

# struct tcp_info: 8 bytes of states and options, then u32 rto, ato, snd_mss, rcv_mss, unacked, sacked.
_HEAD: Final = struct.Struct("8x4I2I")


class AcceptQueue(NamedTuple):
    """The sum over the listening TCP sockets of this process."""

    connections: int
    limit: int


def read(descriptors: list[int]) -> AcceptQueue | None:
    """Return the queue of the listening sockets `descriptors`; None if none of them reports it."""
    queues = [queue for descriptor in descriptors if (queue := _queue(descriptor)) is not None]
    return AcceptQueue(sum(queue.connections for queue in queues), sum(queue.limit for queue in queues)) if queues else None


def listening() -> list[int]:
    """Return the descriptors of the listening TCP sockets of this process; [] where they cannot be listed."""
    if sys.platform != "linux":
        return []
    with contextlib.suppress(OSError):
        return [int(name) for name in os.listdir("/proc/self/fd") if _listens(int(name))]
    return []


def _listens(descriptor: int) -> bool:
    try:
        if not os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:"):
            return False
        with _borrowed(descriptor) as listener:
            return (
                listener.family in {socket.AF_INET, socket.AF_INET6}
                and listener.type == socket.SOCK_STREAM
                and bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            )
    except OSError:
        return False


def _queue(descriptor: int) -> AcceptQueue | None:
    try:
        with _borrowed(descriptor) as listener:
            if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return None
            values = _HEAD.unpack_from(listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _HEAD.size))
    except (OSError, struct.error):
        return None
    return AcceptQueue(values[-2], values[-1])


def _borrowed(descriptor: int) -> socket.socket:
    """Return a socket on a duplicate of `descriptor`, so that closing it leaves the server's own open."""
    return socket.socket(fileno=os.dup(descriptor))
