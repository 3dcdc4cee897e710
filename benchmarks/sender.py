"""Sends OTLP/HTTP requests over a few connections that stay open; what it costs is nobody's figure."""

import asyncio
from collections.abc import Iterable, Iterator

from core.clock import SystemClock

CONNECTIONS = 128
_BUSY = (429, 503)


async def send(port: int, bodies: Iterable[bytes]) -> None:
    """Send all requests and return when each was accepted; one that is refused for now is sent again after a moment."""
    todo = iter(bodies)
    async with asyncio.TaskGroup() as connections:
        for _ in range(CONNECTIONS):
            connections.create_task(_connection(port, todo))


async def _connection(port: int, todo: Iterator[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for body in todo:
        while (status := await _post(reader, writer, body)) in _BUSY:
            await SystemClock().sleep(0.1)
        if status != 200:
            raise RuntimeError(f"port {port} answered {status} to a request of {len(body)} bytes")
    writer.close()


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    writer.write(
        b"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    writer.write(body)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    _, _, rest = head.partition("content-length: ")
    await reader.readexactly(int(rest.split("\r\n", 1)[0] or 0))
    return int(head.split(" ", 2)[1])
