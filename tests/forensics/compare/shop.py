"""Two windows of requests of a shop in a store: a baseline, and a window in which something is different."""

from collections.abc import Callable, Mapping
from random import Random

from logship.search.query import Query
from logship.store.write.store import Store
from tests.store.events import BEGIN_NS

SECOND = 10**9
LENGTH_NS = 600 * SECOND
WINDOW = Query(None, BEGIN_NS + LENGTH_NS, BEGIN_NS + 2 * LENGTH_NS)
BASELINE = Query(None, BEGIN_NS, BEGIN_NS + LENGTH_NS)
LIFE = "abcdef0123456789abcdef01"
# Given the fields of a request in the window, returns those that are different.
Change = Callable[[Mapping[str, object], Random], Mapping[str, object]]


def fill(store: Store, change: Change, requests: int = 3000, seed: int = 1) -> None:
    """Store `requests` in each window; one in 250 fails in both."""
    pick, entries = Random(seed), []
    for number in range(2 * requests):
        at_ns = BEGIN_NS + (number * 2 * LENGTH_NS) // (2 * requests)
        fields: dict[str, object] = {
            "event.id": f"{LIFE}-{number + 1:012d}", "event.sequence": number + 1, "service.ephemeral_id": LIFE,
            "event.dataset": "logship.request", "event.action": "http-request", "service.name": "shop",
            "http.route": pick.choice(["/a", "/b", "/c"]), "http.request.method": pick.choice(["GET", "GET", "POST"]),
            "service.node.name": f"h/shop/w{pick.randrange(3)}", "service.version": "1.0",
            "http.response.status_code": 500 if pick.random() < 0.004 else 200,
            "event.duration": int(pick.lognormvariate(0, 0.5) * 10**7), "client.ip": f"10.0.{pick.randrange(90)}.1",
            "labels": {"tenant": f"t{pick.randrange(20)}"},
        }  # fmt: skip
        entries.append((at_ns, fields | dict(change(fields, pick)) if number >= requests else fields))
    store.append(entries)
