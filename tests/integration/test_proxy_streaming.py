import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path

import pytest

from mesh_proxy.side import TrafficLimits
from tests.fakes.http_peers import Reply, answer_from, ask, backend, get, listening, read_message, until
from tests.fakes.proxies import only, proxy

PIECE = bytes(range(256)) * 256
SIZE = 80
DIGEST = hashlib.sha256(PIECE * SIZE).hexdigest()


@pytest.mark.parametrize("chunked", [True, False])
async def test_five_megabytes_go_up_and_come_down(tmp_path: Path, chunked: bool) -> None:
    def answer(body: bytes) -> Reply:
        return Reply(chunks=[body[at : at + 50_000] for at in range(0, len(body), 50_000)]) if chunked else Reply(body=body)

    async with backend(lambda request: answer(request.body)) as one, proxy(only(one.address), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(PIECE) * SIZE}"
        writer.write(f"PUT /big HTTP/1.1\r\nHost: api.local\r\n{framing}\r\n\r\n".encode())
        for _ in range(SIZE):
            writer.write(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE)
            await writer.drain()
        writer.write(b"0\r\n\r\n" if chunked else b"")
        response = await answer_from(reader)
        assert hashlib.sha256(response.body).hexdigest() == DIGEST
        assert hashlib.sha256(one.received[0].body).hexdigest() == DIGEST
        writer.close()


async def test_a_slow_client_slows_the_endpoint_down(tmp_path: Path) -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_message(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(PIECE) * 1000))
        for _ in range(1000):
            writer.write(PIECE)
            await writer.drain()
            sent += len(PIECE)

    async with listening(pour) as port, proxy(only(f"127.0.0.1:{port}"), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n")
        await until(lambda: any(connection.congested for connection in running.egress.connections))
        before = -1
        while before != sent:  # what fits into the sockets' buffers still flows
            before = sent
            await asyncio.sleep(0.1)
        assert sent < len(PIECE) * 900
        rest = 0
        while piece := await reader.read(1 << 20):
            rest += len(piece)
            if rest > len(PIECE) * 1000:
                break
        assert rest > len(PIECE) * 1000
        writer.close()


async def test_a_slow_endpoint_slows_the_client_down(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def read_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        message = await read_message(reader)
        assert message is not None
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n%08d" % len(message[2]))

    async with listening(read_late) as port, proxy(only(f"127.0.0.1:{port}"), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        size = len(PIECE) * 500
        writer.write(b"PUT / HTTP/1.1\r\nHost: api.local\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(500):
            writer.write(PIECE)
        left = -1
        while left != writer.transport.get_write_buffer_size():
            left = writer.transport.get_write_buffer_size()
            await asyncio.sleep(0.1)
        assert left > size / 2, "the proxy took only what it could pass on"
        gate.set()
        assert int((await answer_from(reader)).body) == size
        writer.close()


async def test_a_response_reaches_the_client_while_it_is_being_made(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await gate.wait()
        writer.write(b"4\r\nlast\r\n0\r\nX-Trailer: 1\r\n\r\n")

    async with listening(slowly) as port, proxy(only(f"127.0.0.1:{port}"), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"first"), 5)).endswith(b"5\r\nfirst")
        gate.set()
        assert await reader.readuntil(b"0\r\n\r\n") == b"\r\n4\r\nlast\r\n0\r\n\r\n"
        writer.close()


async def test_a_request_reaches_the_endpoint_while_it_is_being_sent(tmp_path: Path) -> None:
    first = asyncio.Event()

    async def notice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"first")
        first.set()
        await reader.readuntil(b"last")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with listening(notice) as port, proxy(only(f"127.0.0.1:{port}"), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"POST / HTTP/1.1\r\nHost: api.local\r\nContent-Length: 9\r\n\r\nfirst")
        await asyncio.wait_for(first.wait(), 5)
        writer.write(b"last")
        assert (await answer_from(reader)).body == b"ok"
        writer.close()


async def test_an_early_answer_is_given_and_the_rest_of_the_request_is_not_wanted(tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        await reader.read()

    async with listening(refuse) as port, proxy(only(f"127.0.0.1:{port}"), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"POST / HTTP/1.1\r\nHost: api.local\r\nContent-Length: 1000000\r\n\r\npart")
        answer = await answer_from(reader)
        assert (answer.status, answer.body, answer.headers["connection"]) == (403, b"no", "close")
        writer.write(PIECE)
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize(("asked", "end"), [("TE: trailers\r\n", b"0\r\nX-Trailer: 1\r\n\r\n"), ("", b"0\r\n\r\n")])
async def test_trailers_pass_both_ways_to_those_who_take_them(tmp_path: Path, asked: str, end: bytes) -> None:
    got = b""

    async def with_trailers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal got
        await reader.readuntil(b"\r\n\r\n")
        got = await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Type: a\r\nX-Trailer: 1\r\n\r\n"
        )

    async with listening(with_trailers) as port, proxy(only(f"127.0.0.1:{port}"), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(f"POST / HTTP/1.1\r\nHost: api.local\r\n{asked}Transfer-Encoding: chunked\r\n\r\n".encode())
        writer.write(b"3\r\nabc\r\n0\r\nX-Sum: 7\r\nHost: other\r\nAuthorization: me\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(7 + len(end)) == b"2\r\nok\r\n" + end
        assert got == b"3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n"
        writer.close()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: api.local\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil", 400),
        (b"POST / HTTP/1.1\r\nHost: api.local\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: api.local\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: api.local\r\nContent-Length: 3, 4\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: api.local\r\nContent-Length: +3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: api.local\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: api.local\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: api.local\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nHost: api.local\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: api.local\r\nContent-Length: 3\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nabc", 501),
        (b"GET / HTTP/1.1\r\nHost: api.local\r\nHost: other\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : api.local\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: api.local\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: api.local\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: api.local\x00\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: api.local\r\n\r\n", 400),
        (b"GET nonsense HTTP/1.1\r\nHost: api.local\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: api.local\r\nExpect: miracles\r\nContent-Length: 1\r\n\r\na", 417),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (b"GET / HTTP/1.1\r\nHost: api.local\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: api.local\r\n" + b"X: a\r\n" * 101 + b"\r\n", 431),
    ],
)
async def test_what_could_be_read_in_two_ways_is_refused(tmp_path: Path, head: bytes, status: int) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running:
        answer = await ask(running.egress_port, head)
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert not one.received
        assert (await get(running.egress_port, "/")).status == 200
        assert running.egress.counts.refused == {"malformed": 1}


async def test_a_head_that_never_ends_is_refused(tmp_path: Path) -> None:
    async with proxy(only("127.0.0.1:1"), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(3):
            writer.write(b"a" * 60_000)
            await asyncio.sleep(0.05)
        assert (await answer_from(reader)).status == 431
        writer.close()


@pytest.mark.parametrize("rest", [b"zz\r\nabc\r\n0\r\n\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"-1\r\n\r\n"])
async def test_bad_chunks_end_the_request_and_never_reach_the_endpoint_as_whole(tmp_path: Path, rest: bytes) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running:
        raw = b"POST / HTTP/1.1\r\nHost: api.local\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" + rest
        answer = await ask(running.egress_port, raw)
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        await until(lambda: not running.live.targets[0].pools[one.address].open)
        assert not one.received
        assert running.egress.counts.flags == {"DPE": 1}


async def test_a_good_request_before_a_bad_one_is_answered(tmp_path: Path) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"GET / HTTP/1.1\r\nHost: api.local\r\n\r\nnonsense\r\n\r\n")
        assert [(await answer_from(reader)).status for _ in range(2)] == [200, 400]
        assert await reader.read() == b""
        writer.close()


async def test_a_head_that_comes_drop_by_drop_gains_no_time(tmp_path: Path) -> None:
    async with proxy(only("127.0.0.1:1"), tmp_path) as running:
        running.egress.limits = TrafficLimits(head_s=1)
        _, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(b"GET /")
        async with asyncio.timeout(10):
            while not running.egress.counts.refused:
                writer.write(b"a")
                await asyncio.sleep(0.2)
        assert running.egress.counts.refused["idle"] == 1
        writer.close()


async def test_bodies_and_connections_have_their_limits(tmp_path: Path) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path, max_body_bytes=10, max_connections=1) as running:
        raw = b"POST / HTTP/1.1\r\nHost: api.local\r\nContent-Length: 11\r\n\r\n" + b"x" * 11
        assert (await ask(running.egress_port, raw)).status == 413
        await until(lambda: not running.egress.connections)
        _, kept = await asyncio.open_connection("127.0.0.1", running.egress_port)
        await until(lambda: running.egress.connections)
        reader, refused = await asyncio.open_connection("127.0.0.1", running.egress_port)
        with suppress(ConnectionResetError):
            assert await reader.read() == b"", "the connection is closed one way or the other"
        assert running.egress.counts.refused["connections"] == 1
        kept.close()
        refused.close()
