import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st

from mesh_model.resources import HealthCheck, PortProtocol
from mesh_proxy.targets.health import JITTER, Schedule
from mesh_proxy.targets.health_wire import AGENT, is_well
from tests.fakes.http_peers import Reply, backend, listening
from tests.fakes.processes import Process, free_port

SPEC = HealthCheck("http", healthy_threshold=2, unhealthy_threshold=3, interval_s=5.0, timeout_s=2.0, path="/healthz")


def schedule(*addresses: str) -> Schedule:
    found = Schedule(SPEC, Random(1).random)
    found.follow(addresses, 0.0)
    return found


def test_as_many_answers_in_a_row_as_the_thresholds_say_change_an_endpoint() -> None:
    checks = schedule("a:1")
    answers = [False, False, True, False, False, False, True, False, True, True, False]
    health_after = [checks.result("a:1", well=well, now=0.0) for well in answers]
    assert health_after == [True, True, True, True, True, False, False, False, False, True, True]


@given(st.lists(st.booleans(), max_size=40))
def test_health_changes_only_after_a_whole_row(answers: list[bool]) -> None:
    checks, healthy = schedule("a:1"), True
    for number, well in enumerate(answers, 1):
        now = checks.result("a:1", well=well, now=0.0)
        if now != healthy:
            row = 2 if now else 3
            assert answers[number - row : number] == [now] * row
        healthy = bool(now)


def test_each_is_asked_at_its_interval_give_or_take_and_once_at_a_time() -> None:
    checks = schedule("a:1", "b:1", "c:1")
    assert not checks.take(-1.0, 10)
    assert len(checks.take(1.0, 2)) == 2
    assert len(checks.take(1.0, 10)) == 1
    assert not checks.take(100.0, 10), "they are under way"
    checks.result("a:1", well=True, now=100.0)
    assert not checks.take(100.0 + 5.0 * (1 - JITTER) - 0.01, 10)
    assert checks.take(100.0 + 5.0 * (1 + JITTER), 10) == ["a:1"]


def test_endpoints_that_stay_keep_their_record_and_those_that_went_are_forgotten() -> None:
    checks = schedule("a:1", "b:1")
    for _ in range(3):
        checks.result("a:1", well=False, now=0.0)
    checks.follow(["a:1", "c:1"], 1.0)
    assert {address: record.healthy for address, record in checks.records.items()} == {"a:1": False, "c:1": True}
    assert checks.result("b:1", well=True, now=1.0) is None


def spec(protocol: PortProtocol, path: str = "/", timeout_s: float = 2.0) -> HealthCheck:
    return HealthCheck(protocol, 2, 2, 5.0, timeout_s, path)


@pytest.mark.parametrize(("status", "well"), [(200, True), (204, False), (302, False), (503, False)])
async def test_http_is_well_with_200(status: int, well: bool) -> None:
    async with backend(lambda _: Reply(status)) as server:
        assert await is_well(server.address, spec("http", "/healthz"), None) is well
        (asked,) = server.received
        assert (asked.method, asked.target, asked.headers["user-agent"]) == ("GET", "/healthz", AGENT)
        assert asked.headers["traceparent"].endswith("-00"), "nobody records it"


async def test_silence_noise_and_nobody_are_not_well() -> None:
    async with backend(lambda _: Reply(wait=asyncio.Event().wait)) as silent:
        assert not await is_well(silent.address, spec("http", timeout_s=0.05), None)
    async with backend(lambda _: Reply(raw=b"noise\r\n\r\n", cut=True)) as noisy:
        assert not await is_well(noisy.address, spec("http"), None)
        assert not await is_well(noisy.address, spec("http2"), None)
    nobody = f"127.0.0.1:{free_port()}"
    assert [await is_well(nobody, spec(each), None) for each in ("http", "http2", "grpc", "tcp")] == [False] * 4


async def test_tcp_is_well_when_the_connection_is_taken() -> None:
    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(quiet) as port:
        assert await is_well(f"127.0.0.1:{port}", spec("tcp"), None)


async def test_grpc_asks_the_health_service() -> None:
    server, servicer = grpc.aio.server(), health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    assert await is_well(address, spec("grpc"), None)
    await servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert not await is_well(address, spec("grpc"), None)
    await server.stop(0)
    bare = grpc.aio.server()
    address = f"127.0.0.1:{bare.add_insecure_port('127.0.0.1:0')}"
    await bare.start()
    assert not await is_well(address, spec("grpc"), None), "a server without the health service"
    await bare.stop(0)


@pytest.fixture
async def nginx(tmp_path: Path) -> AsyncIterator[str]:
    """The address of an nginx that speaks HTTP/2 in the clear: 200 at /, 503 at /bad."""
    port = free_port()
    (tmp_path / "nginx.conf").write_text(
        f"""daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error;
        events {{}}
        http {{ access_log off; server {{ listen 127.0.0.1:{port} http2;
            location / {{ return 200 well; }} location /bad {{ return 503; }} }} }}"""
    )
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    process = Process(tmp_path / "log", binary, "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error"))
    async with asyncio.timeout(30):
        while not await is_well(f"127.0.0.1:{port}", spec("tcp"), None):
            process.check()
            await asyncio.sleep(0.02)
    yield f"127.0.0.1:{port}"
    process.stop()


async def test_http2_is_well_with_200(nginx: str) -> None:
    assert await is_well(nginx, spec("http2"), None)
    assert not await is_well(nginx, spec("http2", "/bad"), None)
    assert not await is_well(nginx, spec("grpc"), None)
