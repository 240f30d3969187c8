"""A shop with its own metrics, and with those of logship at /metrics."""

import asyncio
import os
import time

from prometheus_client import Counter, Gauge, Histogram
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import logship
import logship.auto

ORDERS = Counter("orders", "Orders.", ["kind"])
DEPTH = Gauge("queue_depth", "Orders that wait.")
TOTAL = Gauge("open_carts", "Open carts.", multiprocess_mode="livesum")
BASKET = Histogram("basket_euros", "Value of an order.", buckets=(10, 100))


async def order(request: Request) -> PlainTextResponse:
    ORDERS.labels("book").inc()
    DEPTH.set(os.getpid())
    TOTAL.set(2)
    BASKET.observe(20)
    return PlainTextResponse(str(os.getpid()))


async def slow(request: Request) -> PlainTextResponse:
    await asyncio.sleep(float(request.query_params.get("seconds", "30")))
    return PlainTextResponse("slow")


async def block(request: Request) -> PlainTextResponse:
    time.sleep(0.3)
    return PlainTextResponse("blocked")


def stock(request: Request) -> PlainTextResponse:
    return PlainTextResponse("in the thread pool")


app = Starlette(
    routes=[
        Route("/order/{id}", order),
        Route("/slow", slow),
        Route("/block", block),
        Route("/stock", stock),
        Mount("/metrics", logship.metrics()),
    ],
)
