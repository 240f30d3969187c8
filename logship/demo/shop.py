"""The demo's shop: a small Starlette application. Only its last two lines use logship."""

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

import logship

log = logging.getLogger("shop.orders")
chance = random.Random(os.getpid())  # noqa: S311 - for durations


# The bank is unreachable for these of every 2400 orders.
OUTAGE, OUTAGE_EVERY = range(220, 290), 2400


class PaymentDeclined(Exception):
    """The bank declined the payment."""


class BankUnreachable(Exception):
    """The bank did not answer."""


class Prices:
    """The price cache of one worker. While it is cold, prices are read from disk, which blocks the event loop."""

    def __init__(self) -> None:
        self._cold_until = 0.0

    def forget(self, seconds: float) -> None:
        """Have a cold cache for so many seconds."""
        self._cold_until = time.monotonic() + seconds

    def look_up(self) -> None:
        """Block the event loop sometimes, as a slow disk does, while the cache is cold: part of the demo's incident."""
        if time.monotonic() < self._cold_until and chance.random() < 0.3:
            blocked = chance.uniform(0.12, 0.38)
            time.sleep(blocked)
            log.warning("the prices were read from disk", extra={"blocked_ms": round(blocked * 1000)})


prices = Prices()


async def products(request: Request) -> Response:
    await asyncio.sleep(chance.uniform(0.001, 0.008))
    return JSONResponse([{"id": number, "name": f"product {number}"} for number in range(20)])


async def order(request: Request) -> Response:
    await asyncio.sleep(chance.expovariate(1 / 0.006))
    number = request.path_params["id"]
    prices.look_up()
    if number % 50 == 49:
        return JSONResponse({"error": "no such order"}, status_code=404)
    return JSONResponse({"id": number, "state": "paid"})


async def checkout(request: Request) -> Response:
    body = await request.json()
    log.info(
        "order placed", extra={"order_id": body["order"], "total_cents": body["total_cents"], "plan": body["plan"]}
    )
    await asyncio.sleep(chance.uniform(0.01, 0.04))
    if body["order"] % OUTAGE_EVERY in OUTAGE:
        raise BankUnreachable("no answer from bank.example:443 in 3 tries")
    if body["order"] % 40 == 0:
        raise PaymentDeclined(f"card 4111 1111 1111 1111 was declined for order {body['order']}")
    return JSONResponse(
        {"order": body["order"]}, status_code=201, background=BackgroundTask(send_receipt, body["order"])
    )


async def send_receipt(order_id: int) -> None:
    await asyncio.sleep(0.02)
    log.debug("receipt sent", extra={"order_id": order_id})
    if order_id % 33 == 0:
        log.warning("the mail server was slow", extra={"order_id": order_id, "waited_seconds": 0.8})


async def export(request: Request) -> Response:
    async def rows() -> AsyncIterator[bytes]:
        for number in range(40):
            yield b"%d,product %d\n" % (number, number) * 20
            await asyncio.sleep(0.002)

    return StreamingResponse(rows(), media_type="text/csv")


async def report(request: Request) -> Response:
    """Take as many seconds as the query says: part of the demo's incident."""
    seconds = float(request.query_params.get("seconds", "8"))
    log.warning("a report over the whole year is made", extra={"seconds": seconds})
    await asyncio.sleep(seconds)
    return PlainTextResponse("done")


async def forget(request: Request) -> Response:
    """Clear the price cache of this worker, or of the worker with the `pid` of the query: part of the demo's incident."""
    if request.query_params.get("pid") in {None, str(os.getpid())}:
        prices.forget(float(request.query_params.get("seconds", "45")))
        log.warning("the prices were forgotten: the cache is cold")
    return PlainTextResponse(str(os.getpid()))


async def health(request: Request) -> Response:
    return PlainTextResponse("ok")


async def chat(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("welcome")
    await socket.close()


shop = Starlette(
    routes=[
        Route("/products", products),
        Mount("/orders", routes=[Route("/{id:int}", order)]),
        Route("/checkout", checkout, methods=["POST"]),
        Route("/export", export),
        Route("/report", report),
        Route("/prices/forget", forget),
        Route("/health", health),
        WebSocketRoute("/chat", chat),
    ]
)

logship.configure(level="debug")
app = logship.RequestLog(shop)
