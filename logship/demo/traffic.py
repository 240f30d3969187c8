"""The demo's customers: a bounded number of connections to the shop, each asking one thing after another."""

import asyncio
import contextlib
import random

AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) Firefox/131.0", "Mozilla/5.0 (Macintosh) Safari/605.1", "okhttp/4.12")
ANSWER_SECONDS = 30.0


class Traffic:
    """About `per_second` requests a second over `customers` connections to `host`, until it is cancelled.

    `asked`: how many so far. The name is looked up for each connection, so a shop may come back at another address."""

    def __init__(self, port: int, per_second: float = 80.0, customers: int = 16, host: str = "127.0.0.1") -> None:
        self.asked = 0
        self._host, self._port = host, port
        self._pause = customers / per_second
        self._customers = customers
        self._chance = random.Random(7)  # noqa: S311 - the same customers in every demo
        self._orders = 0

    async def run(self) -> None:
        """Ask until cancelled. A customer whose connection is cut comes back at once."""
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
                    await self.ask(reader, writer, *self._wish(), AGENTS[number % len(AGENTS)])
                    await asyncio.sleep(self._pause * self._chance.uniform(0.5, 1.5))
            except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
                await asyncio.sleep(0.2)
            finally:
                if writer is not None:
                    writer.close()

    def _wish(self) -> tuple[str, str, bytes]:
        dice = self._chance.random()
        if dice < 0.45:
            return "GET", f"/orders/{self._chance.randint(1, 2000)}", b""
        if dice < 0.75:
            return "GET", "/products", b""
        if dice < 0.92:
            self._orders += 1
            plan = self._chance.choice(("free", "team", "business"))
            body = f'{{"order": {self._orders}, "total_cents": {self._chance.randint(500, 90000)}, "plan": "{plan}"}}'
            return "POST", "/checkout", body.encode()
        return ("GET", "/export", b"") if dice < 0.97 else ("GET", "/health", b"")

    async def ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        method: str,
        path: str,
        body: bytes,
        agent: str,
    ) -> bytes:
        """One request and its whole answer; what is in it, nothing if it came in chunks."""
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: shop.example\r\nuser-agent: {agent}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        self.asked += 1
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"transfer-encoding: chunked" in answer:
                while size := int(await reader.readline(), 16):
                    await reader.readexactly(size + 2)
                await reader.readline()
            elif b"content-length: " in answer:
                return await reader.readexactly(int(answer.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        return b""

    async def hold(self, path: str) -> bytes | None:
        """One request on a connection of its own: what was answered, None if it was cut off."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError):
            reader, writer = await asyncio.open_connection(self._host, self._port)
            try:
                return await self.ask(reader, writer, "GET", path, b"", "curl/8.5")
            finally:
                writer.close()
        return None
