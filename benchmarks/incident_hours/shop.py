"""A web service with ordinary traffic: routes, tenants, clients and workers, each with its usual rates, drawn from a seed.

Durations are log-normal with a tail, every route fails at a rate of 0.1 to 0.8 %, and workers do not share the traffic evenly."""

import random
from dataclasses import dataclass, field

# (method, route): what the paths of a shop, a booking and a billing service look like.
ROUTES = (
    ("GET", "/products"), ("GET", "/products/{id}"), ("GET", "/search"), ("GET", "/cart"), ("POST", "/cart"),
    ("DELETE", "/cart/{id}"), ("POST", "/checkout"), ("GET", "/orders"), ("GET", "/orders/{id}"), ("POST", "/orders/{id}"),
    ("GET", "/users/me"), ("PUT", "/users/me"), ("POST", "/sessions"), ("DELETE", "/sessions"), ("GET", "/invoices"),
    ("GET", "/invoices/{id}/pdf"), ("POST", "/webhooks/payments"), ("GET", "/reports/sales"), ("GET", "/export"),
    ("POST", "/uploads"), ("GET", "/recommendations"), ("GET", "/api/v2/prices/{id}"),
)  # fmt: skip
TENANTS = (
    "acme globex initech umbrella hooli stark wayne tyrell cyberdyne soylent vandelay wonka oscorp duff aperture massive "
    "gringotts monarch nakatomi weyland virtucon zorin pied bluth"
).split()
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Linux; Android 15) Chrome/142.0.0.0 Mobile Safari/537.36",
    "ShopApp/4.1.9 (iOS 18.1)", "ShopApp/4.2.0 (Android 15)", "python-httpx/0.28.1", "okhttp/4.12.0", "axios/1.7.9",
)  # fmt: skip
ERRORS = ("TimeoutError", "sqlalchemy.exc.OperationalError", "KeyError", "httpx.ConnectError", "shop.errors.OutOfStock")


@dataclass(frozen=True, slots=True)
class UsualRoute:
    """`share`: of all requests; `failing`, `absent`, `cached`: parts with a 5xx, a 404, a 304; `tail`: part that takes longer."""

    method: str
    path: str
    share: float
    median_ms: float
    sigma: float
    tail: float
    failing: float
    absent: float
    cached: float
    errors: tuple[str, ...]


@dataclass(slots=True)
class Shop:
    """`shares` of the workers, `per_second` requests of all; `noise`: spread of the failure rate of a minute (log-normal)."""

    service: str
    host: str
    port: int
    version: str
    per_second: float
    routes: tuple[UsualRoute, ...]
    shares: list[float]
    tenants: tuple[str, ...]
    tenant_weights: list[float]
    clients: tuple[str, ...]
    client_weights: list[float]
    agents: tuple[str, ...]
    agent_weights: list[float]
    noise: float = 0.25
    drift: float = 0.1
    dropped_before: dict[int, int] = field(default_factory=dict)

    def node(self, slot: int) -> str:
        return f"{self.host}/{self.port}/w{slot}"

    def share_of(self, path: str, method: str = "") -> float:
        """Return the part of all requests that are for `path`."""
        return sum(route.share for route in self.routes if route.path == path and method in ("", route.method))


def draw_shop(pick: random.Random) -> Shop:
    """Return a service of the usual size: 2 to 8 workers, 12 to 20 routes, 1.5 to 6 requests per second."""
    tenants = tuple(pick.sample(TENANTS, pick.randint(8, len(TENANTS))))
    clients = tuple(_address(pick) for _ in range(pick.randint(100, 1500)))
    workers = pick.randint(2, 8)
    return Shop(
        service=pick.choice(("shop", "booking", "billing", "api")),
        host=f"web-{pick.randint(1, 9)}",
        port=8000,
        version=f"{pick.randint(1, 4)}.{pick.randint(0, 20)}.{pick.randint(0, 9)}",
        per_second=1.5 * 4 ** pick.random(),
        routes=_routes(pick),
        shares=normalised([pick.lognormvariate(0, 0.12) for _ in range(workers)]),
        tenants=tenants,
        tenant_weights=zipf(len(tenants), 0.8),
        clients=clients,
        client_weights=zipf(len(clients), 0.7),
        agents=AGENTS,
        agent_weights=normalised([pick.lognormvariate(0, 0.6) for _ in AGENTS]),
        noise=pick.uniform(0.1, 0.35),
        drift=pick.uniform(-0.2, 0.2),
        dropped_before={slot: pick.randint(1, 90) for slot in range(workers) if pick.random() < 0.15},
    )


def _routes(pick: random.Random) -> tuple[UsualRoute, ...]:
    # Paths with several methods exist in every service, and are among the busier ones.
    several = pick.choice((ROUTES[3:5], ROUTES[8:10], ROUTES[10:12]))
    others = [route for route in pick.sample(ROUTES, pick.randint(12, 20)) if route not in several]
    place = pick.randint(0, 4)
    chosen = [*others[:place], *several, *others[place:]]
    shares = zipf(len(chosen), 0.9)
    return tuple(
        UsualRoute(
            method, path, share, 6 * 30 ** pick.random(), pick.uniform(0.3, 0.7), pick.uniform(0.003, 0.02),
            pick.uniform(0.001, 0.008), pick.uniform(0.002, 0.03) if "{id}" in path else 0.001,
            pick.uniform(0, 0.1) if method == "GET" else 0.0, tuple(pick.sample(ERRORS, 2)),
        )
        for (method, path), share in zip(chosen, shares, strict=True)
    )  # fmt: skip


def zipf(count: int, power: float) -> list[float]:
    """Return `count` weights, the largest first, with the sum 1."""
    return normalised([(rank + 1) ** -power for rank in range(count)])


def normalised(weights: list[float]) -> list[float]:
    total = sum(weights)
    return [weight / total for weight in weights]


def _address(pick: random.Random) -> str:
    return f"{pick.randint(11, 223)}.{pick.randint(0, 255)}.{pick.randint(0, 255)}.{pick.randint(1, 254)}"
