"""A Forward sink that acknowledges every chunk like an agent, and stores nothing.

It prints its port and runs until it is killed."""

import asyncio
import sys

import msgpack


async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    unpacker = msgpack.Unpacker(raw=True, max_buffer_size=2**26)
    while data := await reader.read(2**18):
        unpacker.feed(data)
        for message in unpacker:  # the entries of a PackedForward frame stay one bytes object
            option = message[-1] if isinstance(message, list) and isinstance(message[-1], dict) else {}
            if b"chunk" in option:
                writer.write(msgpack.packb({"ack": option[b"chunk"].decode()}))
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(take, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit()
