"""gRPC through the proxy, with grpcio on both sides: all four kinds of calls, statuses, retries, and the proxy's own answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.fakes.http_peers import collector, until
from tests.fakes.proxies import OUTLIER, mesh, node, only, proxy, route, tagged

MEBIBYTE = b"x" * 1_048_576


@dataclass
class Service:
    """A gRPC server that says what it is told; ``fail`` are the statuses of its next unary answers."""

    port: int = 0
    fail: list[grpc.StatusCode] = field(default_factory=list)
    asked: int = 0
    cancelled: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def double(self, request: bytes, context: Any) -> bytes:
        self.asked += 1
        await context.send_initial_metadata((("x-first", "1"),))
        if self.fail:
            await context.abort(self.fail.pop(0), "nö, 100%")
        context.set_trailing_metadata((("x-last-bin", b"\x00\xff"),))
        return request * 2

    async def plainly(self, request: bytes, context: Any) -> bytes:
        self.asked += 1
        if self.fail:
            await context.abort(self.fail.pop(0), "nö, 100%")
        return request

    async def count(self, requests: AsyncIterator[bytes], _: Any) -> bytes:
        return str([len(request) async for request in requests]).encode()

    async def pour(self, request: bytes, _: Any) -> AsyncIterator[bytes]:
        for _ in range(int(request)):
            yield MEBIBYTE

    async def echo(self, requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    async def forever(self, _: bytes, __: Any) -> bytes:
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1
        return b""


@asynccontextmanager
async def service() -> AsyncIterator[Service]:
    """Run a server on a free port."""
    running = Service()
    server = grpc.aio.server()
    handlers = {
        "Double": grpc.unary_unary_rpc_method_handler(running.double),
        "Plainly": grpc.unary_unary_rpc_method_handler(running.plainly),
        "Count": grpc.stream_unary_rpc_method_handler(running.count),
        "Pour": grpc.unary_stream_rpc_method_handler(running.pour),
        "Echo": grpc.stream_stream_rpc_method_handler(running.echo),
        "Forever": grpc.unary_unary_rpc_method_handler(running.forever),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Pay", handlers),))
    running.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield running
    finally:
        await server.stop(None)


@asynccontextmanager
async def channel(port: int, host: str = "api.local") -> AsyncIterator[grpc.aio.Channel]:
    # the channel keeps to its one connection, whatever other tests have opened
    options = [("grpc.default_authority", host), ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as opened:
        yield opened


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


def policy(*events: str, limit: int = 2) -> dict[str, Any]:
    return {"retryPolicy": {"maxRetries": limit, "perRetryTimeout": {"unit": "s", "value": 0}, "grpcRetryEvents": list(events)}}


async def test_all_four_kinds_of_calls_pass_with_metadata_both_ways(tmp_path: Path) -> None:
    async with (
        collector() as seen,
        service() as server,
        proxy(only(server.address, protocol="grpc"), tmp_path, otlp=seen.url) as running,
        channel(running.egress_port) as asking,
    ):
        call = asking.unary_unary("/shop.Pay/Double")(b"ab", timeout=10)
        assert await call == b"abab"
        assert tuple(await call.initial_metadata()) == (("x-first", "1"),)
        assert tuple(await call.trailing_metadata()) == (("x-last-bin", b"\x00\xff"),)
        pieces = [MEBIBYTE] * 8
        assert await asking.stream_unary("/shop.Pay/Count")(iter(pieces), timeout=30) == str([len(MEBIBYTE)] * 8).encode()
        assert [len(piece) async for piece in asking.unary_stream("/shop.Pay/Pour")(b"8", timeout=30)] == [len(MEBIBYTE)] * 8
        talk = asking.stream_stream("/shop.Pay/Echo")(timeout=10)
        for word in (b"one", b"two"):
            await talk.write(word)
            assert await talk.read() == word, "each word comes back before the next is said"
        await talk.done_writing()
        assert await talk.read() == grpc.aio.EOF
        assert await talk.code() == grpc.StatusCode.OK
        await until(lambda: len(seen.spans) == 8)
        assert running.live.targets[0].pools[server.address].open == 1
        inside, outside = seen.spans[0], seen.spans[1]
        assert {inside.span.name, outside.span.name} == {"shop.Pay/Double"}
        assert (inside.span.kind, outside.span.kind) == (3, 2)
        for each in (inside, outside):
            told = {"rpc.system": "grpc", "rpc.service": "shop.Pay", "rpc.method": "Double", "rpc.grpc.status_code": 0}
            assert told.items() <= each.attributes.items()
            assert each.span.status.code == 0


@pytest.mark.parametrize(
    ("status", "outside_fails"),
    [(grpc.StatusCode.NOT_FOUND, False), (grpc.StatusCode.INTERNAL, True), (grpc.StatusCode.UNIMPLEMENTED, True)],
)
async def test_a_status_passes_and_is_told(tmp_path: Path, status: grpc.StatusCode, outside_fails: bool) -> None:
    async with (
        collector() as seen,
        service() as server,
        proxy(only(server.address, protocol="grpc"), tmp_path, otlp=seen.url) as running,
        channel(running.egress_port) as asking,
    ):
        for method in ("Double", "Plainly"):  # with headers and trailers, and with trailers only
            server.fail = [status]
            assert await refused(asking.unary_unary(f"/shop.Pay/{method}")(b"", timeout=10)) == (status, "nö, 100%")
        assert server.asked == 2
        await until(lambda: len(seen.spans) == 4)
        for each in seen.spans:
            assert each.attributes["rpc.grpc.status_code"] == status.value[0]
            assert each.span.status.code == (2 if each.span.kind == 3 or outside_fails else 0)


@pytest.mark.parametrize("event", ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"])
async def test_a_refusal_without_an_answer_is_tried_again_for_its_event_only(tmp_path: Path, event: str) -> None:
    status = grpc.StatusCode[event.replace("-", "_").upper()]
    text = only_with(policy(event))
    async with service() as server, proxy(text(server.address), tmp_path) as running, channel(running.egress_port) as asking:
        plainly = asking.unary_unary("/shop.Pay/Plainly")
        server.fail = [status, status]
        assert await plainly(b"a", timeout=10) == b"a"
        assert server.asked == 3
        server.fail = [status] * 3
        assert (await refused(plainly(b"a", timeout=10)))[0] == status
        server.fail = [grpc.StatusCode.DATA_LOSS]
        assert (await refused(plainly(b"a", timeout=10)))[0] == grpc.StatusCode.DATA_LOSS
        assert (server.asked, running.egress.counts.flags) == (7, {"URX": 1})
        server.fail = [status]
        assert (await refused(asking.unary_unary("/shop.Pay/Double")(b"a", timeout=10)))[0] == status, "the answer had begun"


def only_with(http: dict[str, Any], **listener: Any) -> Any:
    return lambda *addresses: only(*addresses, protocol="grpc", http=http, **listener)


async def test_the_proxys_own_refusals_are_grpc(tmp_path: Path) -> None:
    timeout = {"timeout": {"perRequest": {"unit": "ms", "value": 300}}} | policy("internal", limit=0)
    async with service() as server, proxy(only_with(timeout)(server.address, "127.0.0.1:1"), tmp_path) as running:
        async with channel(running.egress_port, "nobody.local") as asking:
            assert await refused(asking.unary_unary("/shop.Pay/Double")(b"", timeout=10)) == (grpc.StatusCode.UNIMPLEMENTED, "")
        async with channel(running.egress_port) as asking:
            late = [await refused(asking.unary_unary("/shop.Pay/Forever")(b"", timeout=10)) for _ in range(2)]
            texts = {"upstream request timeout", "upstream connect error or disconnect/reset before headers. reset reason: "}
            assert {code for code, _ in late} == {grpc.StatusCode.UNAVAILABLE}
            assert {text.removesuffix("connection failure") for _, text in late} == texts
        await until(lambda: server.cancelled == 1)
        assert running.egress.counts.flags == {"NR": 1, "UT": 1, "UF": 1}


async def test_a_caller_that_gives_up_is_told_to_the_server(tmp_path: Path) -> None:
    async with (
        service() as server,
        proxy(only(server.address, protocol="grpc"), tmp_path) as running,
        channel(running.egress_port) as asking,
    ):
        call = asking.unary_unary("/shop.Pay/Forever")(b"")
        await until(lambda: running.egress.in_flight)
        await asyncio.sleep(0.05)
        call.cancel()
        await until(lambda: server.cancelled == 1)
        await until(lambda: running.egress.in_flight == 0)
        assert running.egress.counts.flags == {"DC": 1}


async def test_failures_told_in_trailers_eject_an_endpoint(tmp_path: Path) -> None:
    text = only_with(policy("unavailable", limit=0), outlierDetection=OUTLIER | {"maxServerErrors": 3})
    async with service() as server, proxy(text(server.address), tmp_path) as running, channel(running.egress_port) as asking:
        server.fail = [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS]
        for method in ("Double", "Plainly", "Double"):
            await refused(asking.unary_unary(f"/shop.Pay/{method}")(b"", timeout=10))
        assert running.live.targets[0].circuit.ejections == 1


async def test_methods_have_routes_of_their_own(tmp_path: Path) -> None:
    def to(name: str, target: str, match: dict[str, Any]) -> dict[str, Any]:
        made = route(name, "/", {target: 1}, protocol="grpc")
        made["spec"]["grpcRoute"]["match"] = match
        return made

    async with service() as one, service() as two:
        nodes = [node(name, [each.address], protocol="grpc") for name, each in (("a", one), ("b", two))]
        routes = [
            to("doubles", "a", {"serviceName": "shop.Pay", "methodName": "Double"}),
            to("gold", "b", {"metadata": [{"name": "x-tier", "match": {"exact": "gold"}}]}),
        ]
        async with proxy(mesh(routes, nodes), tmp_path) as running, channel(running.egress_port) as asking:
            assert await asking.unary_unary("/shop.Pay/Double")(b"a", timeout=10) == b"aa"
            plainly = asking.unary_unary("/shop.Pay/Plainly")
            assert await plainly(b"a", timeout=10, metadata=(("x-tier", "gold"),)) == b"a"
            assert (await refused(plainly(b"a", timeout=10)))[0] == grpc.StatusCode.UNIMPLEMENTED
            assert (one.asked, two.asked) == (1, 1)


async def test_callers_stay_at_one_server_within_their_limit(tmp_path: Path) -> None:
    async with service() as one, service() as other:
        text = only(one.address, other.address, protocol="grpc")
        tags = {"rate-limit": "6/h burst=6 header=x-user", "response-header-add/x-mesh": "1"}
        text = tagged(text, node={"balancer": "maglev", "sticky": "header x-user"}, route=tags)
        async with proxy(text, tmp_path) as running, channel(running.egress_port) as opened:
            double = opened.unary_unary("/shop.Pay/Double")
            for user in ("ann", "ben", "cat", "dan", "eve", "fay"):
                before = one.asked, other.asked
                for _ in range(6):
                    call = double(b"ab", metadata=(("x-user", user),))
                    assert await call == b"abab"
                    assert ("x-mesh", "1") in tuple(await call.initial_metadata())
                assert sorted((one.asked - before[0], other.asked - before[1])) == [0, 6]
                code, told = await refused(double(b"ab", metadata=(("x-user", user),)))
                assert (code, told) == (grpc.StatusCode.UNAVAILABLE, "local_rate_limited")
            assert running.egress.counts.flags == {"RL": 6}
