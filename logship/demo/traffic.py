"""The demo's traffic: a fixed number of customers, each with one connection to the shop and one request at a time."""

import asyncio
import contextlib
import random

AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) Firefox/131.0", "Mozilla/5.0 (Macintosh) Safari/605.1", "okhttp/4.12")
RESPONSE_SECONDS = 30.0


class Traffic:
    """Sends about `per_second` requests a second over `customers` connections to `host`, until it is cancelled.

    `sent`: how many so far. The host name is resolved for each connection: the shop may restart at another address."""

    def __init__(self, port: int, per_second: float = 80.0, customers: int = 16, host: str = "127.0.0.1") -> None:
        self.sent = 0
        self._host, self._port = host, port
        self._pause = customers / per_second
        self._customers = customers
        self._chance = random.Random(7)  # noqa: S311 - the same customers in every demo
        self._orders = 0

    async def run(self) -> None:
        """Send requests until cancelled. A customer whose connection is lost connects again at once."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._customers):
                group.create_task(self._customer(number))

    async def _customer(self, number: int) -> None:
        await asyncio.sleep(number * self._pause / self._customers)
        while True:
            writer: asyncio.StreamWriter | None = None
            try:
                reader, writer = await asyncio.open_connection(self._host, self._port)
                for _ in range(self._chance.randint(5, 60)):
                    await self._request(reader, writer, *self._next(), AGENTS[number % len(AGENTS)])
                    await asyncio.sleep(self._pause * self._chance.uniform(0.5, 1.5))
            except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
                await asyncio.sleep(0.2)
            finally:
                if writer is not None:
                    writer.close()

    def _next(self) -> tuple[str, str, bytes]:
        number = self._chance.random()
        if number < 0.45:
            return "GET", f"/orders/{self._chance.randint(1, 2000)}", b""
        if number < 0.75:
            return "GET", "/products", b""
        if number < 0.92:
            self._orders += 1
            plan = self._chance.choice(("free", "team", "business"))
            body = f'{{"order": {self._orders}, "total_cents": {self._chance.randint(500, 90000)}, "plan": "{plan}"}}'
            return "POST", "/checkout", body.encode()
        return ("GET", "/export", b"") if number < 0.97 else ("GET", "/health", b"")

    async def _request(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        method: str,
        path: str,
        body: bytes,
        agent: str,
    ) -> bytes:
        """Send one request and read the whole response. Return its body; empty if it was chunked."""
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: shop.example\r\nuser-agent: {agent}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        self.sent += 1
        async with asyncio.timeout(RESPONSE_SECONDS):
            headers = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"transfer-encoding: chunked" in headers:
                while size := int(await reader.readline(), 16):
                    await reader.readexactly(size + 2)
                await reader.readline()
            elif b"content-length: " in headers:
                return await reader.readexactly(int(headers.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        return b""

    async def get(self, path: str) -> bytes | None:
        """Send one GET request on a new connection. Return the body, None if the connection was lost."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            reader, writer = await asyncio.open_connection(self._host, self._port)
            try:
                return await self._request(reader, writer, "GET", path, b"", "curl/8.5")
            finally:
                writer.close()
        return None
