"""HTTP/2 at the proxy's doors and at its endpoints, with real peers and with a hand that writes frames."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from hyperframe.frame import ContinuationFrame, DataFrame, HeadersFrame, PingFrame, PriorityFrame, RstStreamFrame, SettingsFrame

from tests.fakes.http_peers import Reply, backend, collector, get, listening, read_message, until
from tests.fakes.proxies import only, proxy

HEAD = [(":method", "GET"), (":scheme", "http"), (":authority", "api.local"), (":path", "/")]
PIECE = bytes(range(256)) * 256


class Peer:
    """An HTTP/2 client whose hand is seen: it sends what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        plain = {"validate_outbound_headers": False, "normalize_outbound_headers": False}
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="latin-1", **plain))
        self.events: list[Event] = []
        self.h2.initiate_connection()

    async def flush(self, raw: bytes = b"") -> None:
        self.writer.write(self.h2.data_to_send() + raw)
        await self.writer.drain()

    async def ask(self, stream_id: int, head: list[tuple[str, str]], body: bytes = b"", *, end: bool = True) -> None:
        self.h2.send_headers(stream_id, head, end_stream=end and not body)
        if body:
            self.h2.send_data(stream_id, body, end_stream=end)
        await self.flush()

    async def until(self, kind: type[Event]) -> Event:
        """Return the first event of its kind, or fail at the end of the connection."""
        async with asyncio.timeout(20):
            while True:
                for event in self.events:
                    if type(event) is kind:
                        return event
                data = await self.reader.read(65536)
                assert data, f"the connection ended with {self.events}"
                self.events += self.h2.receive_data(data)
                for event in self.events:
                    if type(event) is DataReceived and event.flow_controlled_length:
                        self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                        event.flow_controlled_length = 0
                await self.flush()

    async def ended(self) -> None:
        """Wait until the proxy has closed the connection."""
        async with asyncio.timeout(20):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass


@asynccontextmanager
async def peer(port: int) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


def client(**options: bool) -> httpx.AsyncClient:
    return httpx.AsyncClient(http1=False, http2=True, headers={"host": "api.local"}, timeout=20, **options)


async def test_prior_knowledge_opens_an_http2_connection_before_http1_endpoints(tmp_path: Path) -> None:
    async with (
        collector() as seen,
        backend(lambda request: Reply(201, request.body or b"hello", headers={"X-App": "1", "Keep-Alive": "x"})) as one,
        proxy(only(one.address), tmp_path, otlp=seen.url) as running,
        client() as asking,
    ):
        url = f"http://127.0.0.1:{running.egress_port}/a/../b?q=1"
        answers = await asyncio.gather(*(asking.get(url) for _ in range(150)))
        assert {(answer.http_version, answer.status_code, answer.content) for answer in answers} == {("HTTP/2", 201, b"hello")}
        assert dict(answers[0].headers) == {"x-app": "1", "content-length": "5"}
        body = PIECE * 20
        assert (await asking.post(url, content=body)).content == body
        got = one.received[-1]
        assert (got.target, got.headers["host"], got.headers["content-length"]) == ("/b?q=1", "api.local", str(len(body)))
        assert len(running.egress.connections) == 1
        missing = await asking.get(url, headers={"host": "other.local"})
        assert (missing.status_code, running.egress.counts.flags) == (404, {"NR": 1})
        assert (await asking.head(url)).headers["content-length"] == "5"
        await until(lambda: len(seen.spans) == 2 * 152 + 1)


@pytest.mark.parametrize("cuts", [(3,), (1, 2, 17), (23,)])
async def test_a_preface_in_pieces_is_a_preface(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running, peer(running.egress_port) as asking:
        asking.h2.send_headers(1, HEAD, end_stream=True)
        data, at = asking.h2.data_to_send(), 0
        for cut in (*cuts, len(data)):
            asking.writer.write(data[at:cut])
            await asyncio.sleep(0.02)
            at = cut
        assert dict((await asking.until(ResponseReceived)).headers)[":status"] == "200"


async def test_a_preface_that_is_none_is_refused(tmp_path: Path) -> None:
    async with proxy(only("127.0.0.1:1"), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
        assert b"HTTP/1.1" not in await reader.read()
        assert (running.egress.counts.requests, running.egress.counts.refused) == (0, {"malformed": 1})
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        [*HEAD, ("x", "a\r\nhost: evil")],
        [*HEAD, ("x", "a\x00")],
        [*HEAD, ("x", " a")],
        [*HEAD, ("x y", "a")],
        [*HEAD, ("x(", "a")],
        [*HEAD, ("X", "a")],
        [*HEAD, ("", "a")],
        [*HEAD, ("connection", "close")],
        [*HEAD, ("transfer-encoding", "chunked")],
        [*HEAD, ("upgrade", "websocket")],
        [*HEAD, ("te", "gzip")],
        [*HEAD, ("host", "evil.local")],
        [*HEAD, ("content-length", "7")],
        [*HEAD, (":path", "/again")],
        [*HEAD, ("x", "a"), (":late", "b")],
        [*HEAD[:3], (":path", "/ HTTP/1.1")],
        [*HEAD[:3], (":path", "")],
        [*HEAD[:3], (":path", "nonsense")],
        [*HEAD[:2], (":authority", "api.local/x"), HEAD[3]],
        [*HEAD[:2], (":authority", "me@api.local"), HEAD[3]],
        [*HEAD[:2], HEAD[3]],
        [HEAD[0], HEAD[2], HEAD[3]],
        [(":method", "GET /evil HTTP/1.1"), *HEAD[1:]],
        [(":method", "CONNECT"), *HEAD[1:]],
    ],
)
async def test_what_http1_would_read_differently_is_refused_and_harms_no_other_stream(
    tmp_path: Path, head: list[tuple[str, str]]
) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running, peer(running.egress_port) as asking:
        await asking.ask(1, head)
        reset = await asking.until(StreamReset)
        assert (reset.stream_id, reset.error_code) == (1, ErrorCodes.PROTOCOL_ERROR)
        assert running.egress.counts.refused == {"malformed": 1}
        assert not one.received
        await asking.ask(3, HEAD)
        assert dict((await asking.until(ResponseReceived)).headers)[":status"] == "200"


async def test_too_many_headers_and_a_path_out_of_the_root_are_answered(tmp_path: Path) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running, peer(running.egress_port) as asking:
        await asking.ask(1, HEAD + [(f"x-{number}", "a") for number in range(101)])
        assert dict((await asking.until(ResponseReceived)).headers)[":status"] == "431"
        asking.events.clear()
        await asking.ask(3, [*HEAD[:3], (":path", "/../x")])
        assert dict((await asking.until(ResponseReceived)).headers)[":status"] == "400"
        assert not one.received


async def test_cookies_that_came_apart_are_one_header_again(tmp_path: Path) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running, peer(running.egress_port) as asking:
        await asking.ask(1, [*HEAD, ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")])
        await asking.until(StreamEnded)
        assert one.received[0].headers["cookie"] == "a=1; b=2"


def opened(count: int, block: bytes) -> list[bytes]:
    frames = []
    for number in range(count):
        stream = 1 + 2 * number
        frames += [HeadersFrame(stream, block, flags=["END_HEADERS"]).serialize(), RstStreamFrame(stream, 8).serialize()]
    return frames


def plain_block() -> bytes:
    """The head of a request, without any table."""
    return b"\x82\x86\x84\x41\x09api.local"


FLOODS = {
    "pings": ("flood", [PingFrame(0, b"12345678").serialize()] * 1100),
    "settings": ("flood", [SettingsFrame(0).serialize()] * 1100),
    "priorities": ("flood", [PriorityFrame(1, depends_on=0, stream_weight=1).serialize()] * 1100),
    "empty data": (
        "flood",
        [HeadersFrame(1, plain_block(), flags=["END_HEADERS"]).serialize(), *[DataFrame(1, b"").serialize()] * 1100],
    ),
    "rapid reset": ("resets", opened(600, plain_block())),
    "continuation": (
        "malformed",
        [HeadersFrame(1, plain_block()).serialize(), *[ContinuationFrame(1, b"\x00\x01x\x01y").serialize()] * 100],
    ),
    "bad length": ("malformed", [HeadersFrame(1, plain_block() + b"\x0f\x0d\x02+0", flags=["END_HEADERS"]).serialize()]),
    "header bomb": (
        "malformed",
        [
            HeadersFrame(1, plain_block() + b"\x40\x01x\x7f\xa1\x1e" + b"y" * 4000, flags=["END_HEADERS"]).serialize(),
            HeadersFrame(3, b"\xbe" * 16000, flags=["END_HEADERS"]).serialize(),
        ],
    ),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_floods_are_counted_and_the_connection_is_left(tmp_path: Path, name: str) -> None:
    reason, frames = FLOODS[name]
    async with backend() as one, proxy(only(one.address), tmp_path) as running, peer(running.egress_port) as asking:
        await asking.flush(b"".join(frames))
        await asking.ended()
        assert running.egress.counts.refused[reason] == 1
        assert (await get(running.egress_port, "/")).status == 200
        await until(lambda: running.egress.in_flight == 0)


async def test_a_client_that_does_not_read_is_left(tmp_path: Path) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.egress_port, limit=1)
        writer.transport.pause_reading()
        writer.write(H2Connection().data_to_send() + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize())
        await until(lambda: running.egress.connections)
        ping = PingFrame(0, b"12345678").serialize() * 500

        async def flood() -> None:
            while not running.egress.counts.refused:
                writer.write(ping)
                await asyncio.sleep(0.01)

        await asyncio.wait_for(flood(), 60)
        await until(lambda: not running.egress.connections)
        writer.transport.abort()


async def test_a_slow_client_slows_the_endpoint_down_but_not_other_streams(tmp_path: Path) -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        message = await read_message(reader)
        assert message is not None
        if "/small" in message[0]:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * 1000))
        for _ in range(1000):
            writer.write(PIECE)
            await writer.drain()
            sent += len(PIECE)

    async with (
        listening(pour) as port,
        proxy(only(f"127.0.0.1:{port}"), tmp_path) as running,
        peer(running.egress_port) as asking,
    ):
        await asking.ask(1, HEAD)
        await asking.until(ResponseReceived)
        before = -1
        while before != sent:  # what fits into the sockets' buffers still flows
            before = sent
            await asyncio.sleep(0.1)
        assert sent < len(PIECE) * 500
        asking.h2.increment_flow_control_window(1_000_000)
        await asking.ask(3, [*HEAD[:3], (":path", "/small")])
        await asking.until(StreamEnded)
        assert sent < len(PIECE) * 500
        asking.h2.reset_stream(1)
        await asking.flush()
        await until(lambda: running.egress.counts.flags == {"DC": 1})


async def test_a_slow_endpoint_slows_the_client_down(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def read_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        message = await read_message(reader)
        assert message is not None
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + hashlib.sha256(message[2]).hexdigest().encode())

    body = PIECE * 300
    async with listening(read_late) as port, proxy(only(f"127.0.0.1:{port}"), tmp_path) as running, client() as asking:
        given = 0

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal given
            for at in range(0, len(body), 65536):
                yield body[at : at + 65536]
                given += 65536

        post = asyncio.create_task(asking.post(f"http://127.0.0.1:{running.egress_port}/", content=pieces()))
        before = -1
        while before != given or not given:
            before = given
            await asyncio.sleep(0.1)
        assert given < len(body) / 2, "the proxy took only what it could pass on"
        gate.set()
        assert (await post).text == hashlib.sha256(body).hexdigest()


async def test_trailers_pass_from_and_to_http1_endpoints(tmp_path: Path) -> None:
    got = b""

    async def with_trailers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await reader.readuntil(b"\r\n\r\n")
        got = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n")

    async with (
        listening(with_trailers) as port,
        proxy(only(f"127.0.0.1:{port}"), tmp_path) as running,
        peer(running.egress_port) as asking,
    ):
        asking.h2.send_headers(1, [(":method", "POST"), *HEAD[1:], ("te", "trailers")])
        asking.h2.send_data(1, b"abc")
        asking.h2.send_headers(1, [("x-sum", "7"), ("authorization", "me")], end_stream=True)
        await asking.flush()
        await asking.until(StreamEnded)
        assert got == b"3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n"
        assert [dict(event.headers) for event in asking.events if hasattr(event, "headers")][1:] == [{"x-trailer": "1"}]


async def test_streams_that_fall_silent_and_connections_that_say_nothing_end(tmp_path: Path) -> None:
    gate = asyncio.Event()
    idle = {"timeout": {"idle": {"unit": "s", "value": 1}}}
    async with (
        backend(lambda _: Reply(wait=gate.wait)) as one,
        proxy(only(one.address, http=idle), tmp_path) as running,
        peer(running.egress_port) as asking,
    ):
        await asking.ask(1, HEAD)
        assert dict((await asking.until(ResponseReceived)).headers)[":status"] == "504"
        assert running.egress.counts.flags == {"SI": 1}


async def test_draining_says_goaway_and_answers_what_was_asked(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with (
        backend(lambda _: Reply(wait=gate.wait)) as one,
        proxy(only(one.address), tmp_path) as running,
        peer(running.egress_port) as asking,
    ):
        await asking.ask(1, HEAD)
        await until(lambda: one.received)
        running.egress.drain()
        goaway = await asking.until(ConnectionTerminated)
        assert (goaway.last_stream_id, goaway.error_code) == (1, ErrorCodes.NO_ERROR)
        assert running.egress.connections
        gate.set()
        await asking.ended()
        assert not running.egress.connections
