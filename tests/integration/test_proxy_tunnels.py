"""Bytes that pass as they are: CONNECT and absolute form of unchanged applications, tcp listeners and tcp routes."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.http_peers import Reply, Streams, answer_from, backend, collector, listening, until
from tests.fakes.proxies import mesh, node, only, proxy

ALLOW_ALL = {"egressFilter": {"type": "ALLOW_ALL"}}


@asynccontextmanager
async def upper() -> AsyncIterator[str]:
    """Run a server that answers everything, once it has come, in upper case."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.write_eof()

    async with listening(answer) as port:
        yield f"127.0.0.1:{port}"


async def connected(port: int, authority: str, early: bytes = b"") -> tuple[bytes, Streams]:
    """Return what CONNECT was answered with, and the streams."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode() + early)
    return await reader.readuntil(b"\r\n\r\n"), (reader, writer)


def tcp(weights: dict[str, int], **action: Any) -> dict[str, Any]:
    targets = [{"virtualNode": name, "weight": weight} for name, weight in weights.items()]
    return {"routeName": "bytes", "spec": {"tcpRoute": {"action": {"weightedTargets": targets}, **action}}}


def with_filter(text: str) -> str:
    return json.dumps(json.loads(text) | {"mesh": {"meshName": "test", "spec": ALLOW_ALL}})


async def test_an_unchanged_application_uses_the_egress_as_its_proxy(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(body=b"routed")) as one, proxy(only(one.address), tmp_path) as running:
        egress = f"http://127.0.0.1:{running.egress_port}"
        async with httpx.AsyncClient(proxy=egress) as asking:
            assert (await asking.get("http://api.local/a?b=1")).content == b"routed"
            assert (await asking.get("http://other.local/")).status_code == 404
        assert [request.target for request in one.received] == ["/a?b=1"]
        curl = ["curl", "-sS", "-p", "-x", egress, "http://api.local:80/c", "http://api.local:80/d"]
        process = await asyncio.create_subprocess_exec(*curl, stdout=asyncio.subprocess.PIPE)
        out, _ = await asyncio.wait_for(process.communicate(), 20)
        assert out == b"routedrouted"
        assert [request.target for request in one.received[1:]] == ["/c", "/d"]
        assert "traceparent" not in one.received[1].headers, "nobody looks into a tunnel"


async def test_connect_goes_by_the_route_with_spans_and_half_closed_ends(tmp_path: Path) -> None:
    async with collector() as seen, upper() as address, proxy(only(address), tmp_path, otlp=seen.url) as running:
        head, (reader, writer) = await connected(running.egress_port, "api.local:443", b"early ")
        assert head == b"HTTP/1.1 200 Connection Established\r\n\r\n"
        writer.write(b"and late")
        assert running.egress.in_flight == 1
        writer.write_eof()
        assert await reader.read() == b"EARLY AND LATE"
        await until(lambda: running.egress.in_flight == 0)
        counts = running.egress.counts
        assert (counts.requests, counts.statuses[2], counts.flags) == (1, 1, {})
        assert running.live.targets[0].active == 0
        writer.close()
        await until(lambda: len(seen.spans) == 2)
        assert [span.span.kind for span in seen.spans] == [3, 2]
        for span in seen.spans:
            told = {"http.request.method": "CONNECT", "http.response.status_code": 200, "response_flags": "-"}
            assert told.items() <= span.attributes.items()
        assert seen.spans[0].attributes["peer.service"] == "backend"


async def test_connect_to_what_the_mesh_does_not_know(tmp_path: Path) -> None:
    async with upper() as address, proxy(only("127.0.0.1:1"), tmp_path) as running:
        head, (_, writer) = await connected(running.egress_port, address)
        assert head.startswith(b"HTTP/1.1 404 ")
        assert running.egress.counts.flags == {"NR": 1}
        writer.close()
        (tmp_path / "web.json").write_text(with_filter(only("127.0.0.1:1")))
        running.reload()
        head, (reader, writer) = await connected(running.egress_port, address)
        assert head.startswith(b"HTTP/1.1 200 ")
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"HELLO"
        writer.close()
        head, (_, writer) = await connected(running.egress_port, "127.0.0.1:1")
        assert head.startswith(b"HTTP/1.1 503 ")
        writer.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"CONNECT api.local HTTP/1.1\r\nHost: api.local\r\n\r\n",
        b"CONNECT api.local:0 HTTP/1.1\r\nHost: api.local\r\n\r\n",
        b"CONNECT api.local:80 HTTP/1.1\r\nHost: other.local\r\n\r\n",
        b"CONNECT api.local:80 HTTP/1.1\r\nHost: api.local\r\nContent-Length: 1\r\n\r\na",
        b"CONNECT api.local:80 HTTP/1.0\r\n\r\n",
        b"CONNECT me@api.local:80 HTTP/1.1\r\nHost: me@api.local:80\r\n\r\n",
        b"CONNECT http://api.local:80/ HTTP/1.1\r\nHost: api.local\r\n\r\n",
    ],
)
async def test_a_connect_that_is_none_is_refused(tmp_path: Path, raw: bytes) -> None:
    async with backend() as one, proxy(only(one.address), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.egress_port)
        writer.write(raw)
        assert (await answer_from(reader)).status == 400
        assert not one.connections
        writer.close()


async def test_nobody_tunnels_through_the_ingress(tmp_path: Path) -> None:
    async with backend() as one, proxy(only("127.0.0.1:1").replace('"port": 1,', f'"port": {one.port},'), tmp_path) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.ingress_port)
        writer.write(b"CONNECT api.local:80 HTTP/1.1\r\nHost: api.local:80\r\n\r\n")
        assert (await answer_from(reader)).status == 501
        writer.close()


async def test_connections_to_tcp_targets_are_spread_by_weight_and_pass_a_tcp_ingress(tmp_path: Path) -> None:
    taken: Counter[str] = Counter()

    def named(name: str) -> Any:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            taken[name] += 1
            writer.write(hashlib.sha256(await reader.read()).digest())

        return answer

    body = bytes(range(256)) * 20_000
    async with listening(named("a")) as one, listening(named("b")) as two:
        applications = [node(name, ["127.0.0.1:1"], protocol="tcp", port=port) for name, port in (("a", one), ("b", two))]
        text = mesh([tcp({"a": 1, "b": 1})], applications)
        async with proxy(text, tmp_path, beside="a") as first, proxy(text, tmp_path, beside="b") as second:
            nodes = [
                node(name, [f"127.0.0.1:{each.ingress_port}"], protocol="tcp") for name, each in (("a", first), ("b", second))
            ]
            async with proxy(mesh([tcp({"a": 1, "b": 3})], nodes), tmp_path) as running:
                for _ in range(16):
                    head, (reader, writer) = await connected(running.egress_port, "api.local:5432")
                    assert head.startswith(b"HTTP/1.1 200 ")
                    writer.write(body)
                    writer.write_eof()
                    assert await reader.read() == hashlib.sha256(body).digest()
                    writer.close()
                assert taken.total() == 16
                assert taken["a"] > 0 < taken["b"]
                assert first.ingress.counts.requests == taken["a"]
                await until(lambda: not first.ingress.connections and not second.ingress.connections)


async def test_a_slow_reader_of_a_tunnel_slows_the_writer_down(tmp_path: Path) -> None:
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for _ in range(1000):
            writer.write(bytes(65_536))
            await writer.drain()
            sent += 65_536

    async with listening(pour) as port, proxy(only(f"127.0.0.1:{port}"), tmp_path) as running:
        _, (reader, writer) = await connected(running.egress_port, "api.local:80")
        before = -1
        while before != sent:  # what fits into the sockets' buffers still flows
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 40_000_000
        rest = 0
        while piece := await reader.read(1 << 20):
            rest += len(piece)
        assert rest == 65_536_000
        writer.close()


async def test_failures_limits_and_silence_are_told(tmp_path: Path) -> None:
    async def listen_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(listen_only) as port:
        idle = {"timeout": {"tcp": {"idle": {"unit": "s", "value": 1}}}}
        limited = node("a", [f"127.0.0.1:{port}"], protocol="tcp", connectionPool={"tcp": {"maxConnections": 1}})
        route = tcp({"a": 1}, timeout={"idle": {"unit": "s", "value": 1}})
        limited["spec"]["listeners"][0] |= idle
        async with proxy(mesh([route], [limited]), tmp_path) as running:
            head, (reader, first) = await connected(running.egress_port, "api.local:1")
            assert head.startswith(b"HTTP/1.1 200 ")
            head, (_, second) = await connected(running.egress_port, "api.local:1")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert await reader.read() == b""
            assert running.egress.counts.flags == {"UO": 1, "SI": 1}
            await until(lambda: running.live.targets[0].pools[f"127.0.0.1:{port}"].active == 0)
            head, (_, third) = await connected(running.egress_port, "api.local:1")
            assert head.startswith(b"HTTP/1.1 200 "), "the first one's place is free"
            for writer in (first, second, third):
                writer.close()


async def test_a_connection_is_tried_at_another_endpoint(tmp_path: Path) -> None:
    async with (
        upper() as address,
        proxy(mesh([tcp({"a": 1})], [node("a", ["127.0.0.1:1", address], protocol="tcp")]), tmp_path) as running,
    ):
        for _ in range(4):
            head, (_, writer) = await connected(running.egress_port, "api.local:1")
            assert head.startswith(b"HTTP/1.1 200 ")
            writer.close()
        assert running.egress.counts.retries > 0
