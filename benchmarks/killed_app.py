"""A service that counts its requests with logship and with prometheus-fastapi-instrumentator, for bench_metrics_killed.py."""

import asyncio
import contextlib

import logship.auto  # noqa: F401

# isort: split
from fastapi import FastAPI

app = FastAPI()


@app.get("/orders/{number}")
async def order(number: int) -> dict[str, int]:
    return {"id": number}


@app.get("/slow")
async def slow(seconds: float) -> dict[str, float]:
    await asyncio.sleep(seconds)
    return {"slow": seconds}


with contextlib.suppress(ImportError):
    from prometheus_fastapi_instrumentator import Instrumentator

    counted = Instrumentator(
        should_instrument_requests_inprogress=True, inprogress_labels=True, excluded_handlers=["/metrics"]
    )
    counted.instrument(app).expose(app)
