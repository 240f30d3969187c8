"""Connections by worker, from the addresses and ports of clients."""

import pytest

from logship.forensics.connections import connections
from logship.search.query import Query
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import SECOND, START_NS, requests

WINDOW = Query(None, START_NS, START_NS + 300 * SECOND)


def test_requests_of_one_port_are_one_connection(store: Store, source: Reader) -> None:
    store.append(requests(range(1, 31), slot=0, client__ip="192.0.2.1", client__port=5000))
    store.append(requests(range(31, 41), slot=1, client__ip="192.0.2.1", client__port=5001))
    store.append(requests(range(41, 51), slot=1, client__ip="192.0.2.2", client__port=5001))
    clients = connections(source, WINDOW, 50)
    assert clients is not None
    assert clients.by_node == {"h/shop/w0": 1, "h/shop/w1": 2}
    assert clients.requests_each == pytest.approx((30**2 + 10**2 + 10**2) / 50)


def test_without_ports_connections_are_not_known(store: Store, source: Reader) -> None:
    store.append(requests(range(1, 31), client__ip="192.0.2.1"))
    assert connections(source, WINDOW, 30) is None
    store.append(requests(range(31, 35), client__ip="192.0.2.1", client__port=5001))
    assert connections(source, WINDOW, 34) is None


def test_only_the_newest_part_of_many_requests_is_read(store: Store, source: Reader) -> None:
    store.append(requests(range(1, 11), at_s=10, client__ip="192.0.2.1", client__port=5000))
    store.append(requests(range(11, 21), at_s=290, client__ip="192.0.2.1", client__port=5001))
    clients = connections(source, WINDOW, 1_000_000)
    assert clients is not None
    assert clients.total == 1
