"""A shop whose answers take long enough for a client to leave."""

import logship.auto  # noqa: F401

# isort: split

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse

app = FastAPI()


@app.get("/slow")
async def slow() -> int:
    await asyncio.sleep(0.5)
    return 1


@app.get("/events")
async def events() -> StreamingResponse:
    async def ticks() -> AsyncIterator[bytes]:
        for _ in range(600):
            yield b"data: tick\n\n"
            await asyncio.sleep(0.02)

    return StreamingResponse(ticks(), media_type="text/event-stream")


@app.post("/upload")
async def upload(request: Request) -> int:
    return len(await request.body())


@app.post("/form")
async def form(order: dict[str, int]) -> int:
    return len(order)


@app.websocket("/chat")
async def chat(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)
