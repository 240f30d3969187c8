"""The demo's shop: a small Starlette application. Nothing in it knows logship but two lines at its end."""

import asyncio
import logging
import os
import random
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

import logship

log = logging.getLogger("shop.orders")
chance = random.Random(os.getpid())  # noqa: S311 - how long things take


class PaymentDeclined(Exception):
    """The bank said no."""


async def products(request: Request) -> Response:
    await asyncio.sleep(chance.uniform(0.001, 0.008))
    return JSONResponse([{"id": number, "name": f"product {number}"} for number in range(20)])


async def order(request: Request) -> Response:
    await asyncio.sleep(chance.expovariate(1 / 0.006))
    number = request.path_params["id"]
    if number % 50 == 49:
        return JSONResponse({"error": "no such order"}, status_code=404)
    return JSONResponse({"id": number, "state": "paid"})


async def checkout(request: Request) -> Response:
    body = await request.json()
    log.info(
        "order placed", extra={"order_id": body["order"], "total_cents": body["total_cents"], "plan": body["plan"]}
    )
    await asyncio.sleep(chance.uniform(0.01, 0.04))
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
    """The demo's incident: it holds its worker for as long as the query says."""
    log.warning("a report is made by hand", extra={"seconds": float(request.query_params.get("seconds", "8"))})
    await asyncio.sleep(float(request.query_params.get("seconds", "8")))
    return PlainTextResponse("done")


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
        Route("/health", health),
        WebSocketRoute("/chat", chat),
    ]
)

logship.configure(level="debug")
app = logship.RequestLog(shop)
