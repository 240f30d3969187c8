"""Clients that ask as quickly as they are answered: `flood.py PORT CONNECTIONS SECONDS`; says how many answers came."""

import asyncio
import sys
import time

PORT, CONNECTIONS, SECONDS = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
LONGEST_SECONDS = 60.0
answers = 0


async def client(number: int, until: float) -> None:
    global answers
    reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
    try:
        while time.monotonic() < until:
            writer.write(b"GET /orders/%d HTTP/1.1\r\nhost: shop\r\n\r\n" % (answers % 1000))
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), LONGEST_SECONDS)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            answers += 1
    finally:
        writer.close()


async def flood() -> None:
    until = time.monotonic() + SECONDS
    await asyncio.gather(*(client(number, until) for number in range(CONNECTIONS)))


asyncio.run(flood())
sys.stdout.write(f"{answers}\n")
