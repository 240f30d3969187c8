"""The CPU cores that workers can use at once."""

import pytest

from logship.forensics.capacity.cores import cores, cpus_of
from logship.search.query import Query
from logship.store.read.reader import Reader
from logship.store.write.store import Store
from tests.forensics.lives import beat

WINDOW = Query(None, 0, 2 * 10**18)


def beats(store: Store, host: str, cpus: list[str], quota: float | None = None) -> None:
    for slot, allowed in enumerate(cpus):
        time_ns, event = beat(1, life=f"{host}{slot}".encode().hex().ljust(24, "0")[:24], slot=slot)
        event |= {"host.name": host, "service.node.name": f"{host}/shop/w{slot}", "logship.process.cpus": allowed}
        store.append([(time_ns, event | ({"logship.process.cpu_quota": quota} if quota else {}))])


@pytest.mark.parametrize(
    ("cpus", "quota", "usable"),
    [
        (["0-3"] * 2, None, 2),
        (["0-1"] * 4, None, 2),
        (["0", "1", "0", "1"], None, 2),
        (["3"] * 4, None, 1),
        (["0-7"] * 4, 1.5, 1.5),
        (["0-7"] * 4, 6.0, 4),
    ],
)
def test_workers_share_the_cores_of_a_host(
    store: Store, source: Reader, cpus: list[str], quota: float | None, usable: float
) -> None:
    beats(store, "a", cpus, quota)
    assert cores(source, WINDOW) == usable


def test_hosts_add_up(store: Store, source: Reader) -> None:
    beats(store, "a", ["0"] * 4)
    beats(store, "b", ["0-3"] * 4)
    assert cores(source, WINDOW) == 5


def test_heartbeats_without_them_tell_nothing(store: Store, source: Reader) -> None:
    store.append([beat(1)])
    assert cores(source, WINDOW) is None


def test_lists_of_cores_are_read() -> None:
    assert list(cpus_of("0-2,6")) == [0, 1, 2, 6]
    assert list(cpus_of("")) == list(cpus_of("a-b,-1")) == []
