"""HTTP servers start or say why not, speak IPv6, and leave nobody the power to hold all connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from cli.servers import HttpServer, NotStarted, PortTaken, address, bind

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def _hello(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def _serving(host: str = "127.0.0.1", **options: Any) -> AsyncIterator[HttpServer]:
    server = HttpServer(_hello, host, 0, name="http", lifespan=False, **options)
    await server.start()
    yield server
    await server.stop(1)


async def test_an_application_that_fails_to_start_is_a_fault() -> None:
    async def failing(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    server = HttpServer(failing, "127.0.0.1", 0, name="http", lifespan=True)
    with pytest.raises(NotStarted, match="what should answer at http failed while it started"):
        await server.start()
    await server.stop(1)


@pytest.mark.parametrize("host", ["::1", "[::1]"])
async def test_ipv6(host: str) -> None:
    async with _serving(host) as server, httpx.AsyncClient() as client:
        assert (await client.get(f"http://{address(host, server.port)}")).text == "hello"


def test_an_address_is_written_as_one_writes_it() -> None:
    assert [address(host, 80) for host in ("::", "[::1]", "127.0.0.1", "mesh")] == [
        "[::]:80",
        "[::1]:80",
        "127.0.0.1:80",
        "mesh:80",
    ]


def test_a_host_that_is_not_known_is_named() -> None:
    with pytest.raises(PortTaken, match=r"cannot listen on nowhere.invalid:80 for http: .*(known|resolution)"):
        bind("nowhere.invalid", 80, "http")


async def test_a_connection_too_many_is_told_to_come_again() -> None:
    async with _serving(connections=2) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient() as first, httpx.AsyncClient() as second, httpx.AsyncClient() as third:
            assert [(await client.get(url)).status_code for client in (first, second, third)] == [200, 200, 503]
            await first.aclose()
            await second.aclose()
            async with asyncio.timeout(20):
                while (await third.get(url)).status_code != 200:
                    pass  # the server has yet to notice


@pytest.mark.parametrize("start", [b"", b"GET / HTTP/1.1\r\nhost: x\r\n"], ids=["silent", "half a head"])
async def test_a_client_that_does_not_finish_its_head_is_cut_off(start: bytes) -> None:
    async with _serving(head_s=0.3) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(start)
        async with asyncio.timeout(20):
            assert await reader.read() == b""
        writer.close()


async def test_a_connection_may_be_used_again_and_rest_between() -> None:
    async with _serving(head_s=0.3) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            async with asyncio.timeout(20):
                await reader.readuntil(b"hello")
            await asyncio.sleep(0.5)  # longer than a head may take
        writer.close()
