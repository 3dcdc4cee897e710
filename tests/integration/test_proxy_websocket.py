"""WebSocket through the proxy, with the websockets library on both sides."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus

from tests.fakes.http_peers import Reply, answer_from, ask, backend, collector, get, listening, until
from tests.fakes.proxies import only, proxy

OFFER = (
    b"GET /ws HTTP/1.1\r\nHost: api.local\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def socket_to(port: int) -> connect:
    return connect("ws://api.local/ws", host="127.0.0.1", port=port, proxy=None)


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    async def answer(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(answer, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def test_messages_pass_both_ways_through_two_proxies(tmp_path: Path) -> None:
    async with collector() as seen, echo() as address:
        inside = only("127.0.0.1:1")
        inside = inside.replace('"port": 1,', f'"port": {address.split(":")[1]},')
        async with (
            proxy(inside, tmp_path, beside="api") as ingress,
            proxy(only(f"127.0.0.1:{ingress.ingress_port}"), tmp_path, otlp=seen.url) as running,
        ):
            async with socket_to(running.egress_port) as socket:
                for size in (0, 5, 200_000, 900_000):
                    await socket.send("x" * size)
                    assert await socket.recv() == "x" * size
                assert running.egress.in_flight == 1
            await until(lambda: running.egress.in_flight == 0)
            assert (running.egress.counts.statuses[1], running.egress.counts.flags) == (1, {})
            assert (await get(running.egress_port, "/x")).status == 426, "the application answers what is no offer"
            await until(lambda: len(seen.spans) == 4)
            assert [span.attributes["http.response.status_code"] for span in seen.spans[:2]] == [101, 101]


async def test_an_offer_that_is_refused_is_an_answer_and_nothing_after_it_reaches_the_endpoint(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(403)) as one, proxy(only(one.address), tmp_path) as running:
        with pytest.raises(InvalidStatus) as refused:
            await socket_to(running.egress_port)
        assert refused.value.response.status_code == 403
        answer = await ask(running.egress_port, OFFER + b"\r\nGET /smuggled HTTP/1.1\r\nHost: api.local\r\n\r\n")
        assert (answer.status, answer.headers["connection"]) == (403, "close")
        assert [request.target for request in one.received] == ["/ws", "/ws"]


async def test_bytes_that_come_too_early_wait_for_the_switch(tmp_path: Path) -> None:
    got = b""

    async def switch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await reader.readuntil(b"\r\n\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\nhello")
        got = await reader.readexactly(5)
        writer.write(b"bye")

    async with listening(switch) as port, proxy(only(f"127.0.0.1:{port}"), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(OFFER + b"\r\nearly")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head == b"HTTP/1.1 101 Switching Protocols\r\nX-A: 1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        assert await reader.read() == b"hellobye"
        assert got == b"early"
        writer.close()


@pytest.mark.parametrize(
    "offer",
    [
        OFFER.replace(b"websocket", b"h2c"),
        OFFER.replace(b"Connection: Upgrade\r\n", b""),
        OFFER.replace(b"websocket", b"websocket, h2c"),
    ],
)
async def test_other_offers_are_not_taken_up(tmp_path: Path, offer: bytes) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write((offer + b"\r\n") * 2)
        assert [(await answer_from(reader)).status for _ in range(2)] == [200, 200]
        assert not {"upgrade", "connection"} & one.received[0].headers.keys()
        writer.close()


async def test_a_switch_that_nobody_asked_for_is_no_answer(tmp_path: Path) -> None:
    reply = Reply(raw=b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    async with backend(lambda _: reply) as one, proxy(only(one.address), tmp_path) as running:
        assert (await get(running.egress_port, "/")).status == 502


async def test_a_silent_websocket_ends_when_its_idle_time_is_over(tmp_path: Path) -> None:
    idle = {"timeout": {"idle": {"unit": "s", "value": 1}, "perRequest": {"unit": "ms", "value": 100}}}
    async with echo() as address, proxy(only(address, http=idle), tmp_path) as running:
        async with socket_to(running.egress_port) as socket:
            await socket.wait_closed()
        assert running.egress.counts.flags == {"SI": 1}
