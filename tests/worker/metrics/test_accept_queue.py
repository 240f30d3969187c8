"""The accept queue of listening sockets, as the kernel tells it."""

import os
import socket
import sys

import pytest

from logship.worker.metrics import accept_queue

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="TCP_INFO of a listening socket is Linux's")


def test_connections_that_wait_are_counted() -> None:
    with socket.socket() as listener, socket.socket(socket.AF_UNIX) as other:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        assert listener.fileno() in accept_queue.listening()
        assert other.fileno() not in accept_queue.listening()
        clients = [socket.create_connection(listener.getsockname()) for _ in range(5)]
        assert accept_queue.read([listener.fileno()]) == (5, 64)
        listener.accept()[0].close()
        assert accept_queue.read([listener.fileno()]) == (4, 64)
        for client in clients:
            client.close()
        assert listener.fileno() in accept_queue.listening()  # reading it left it open


def test_what_does_not_listen_has_no_queue() -> None:
    reader, writer = os.pipe()
    with socket.socket() as idle:
        assert accept_queue.read([reader, writer, idle.fileno(), 10**6]) is None
    os.close(reader)
    os.close(writer)
