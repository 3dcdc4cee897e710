"""Which endpoints a companion proxy calls, seen from the endpoints; with Envoy as the judge of hashes."""

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from mesh_proxy.settings import ProxySettings
from tests.fakes import envoys
from tests.fakes.envoys import TYPES
from tests.fakes.http_peers import Backend, Reply, backend, get, until
from tests.fakes.processes import Process, free_port
from tests.fakes.proxies import OUTLIER, only, proxy, tagged

USERS = [f"user-{number}" for number in range(60)]


@pytest.fixture
async def three() -> AsyncIterator[list[Backend]]:
    """Backends that say which one they are."""
    async with AsyncExitStack() as stack:
        replies = [Reply(body=str(number).encode()) for number in range(3)]
        yield [await stack.enter_async_context(backend(lambda _, reply=reply: reply)) for reply in replies]  # type: ignore[misc]


def addresses(backends: list[Backend]) -> list[str]:
    return [each.address for each in backends]


async def chosen(port: int, target: str = "/") -> dict[str, bytes]:
    return {user: (await get(port, target, x_user=user)).body for user in USERS}


@pytest.fixture
async def envoy(tmp_path: Path, three: list[Backend]) -> AsyncIterator[int]:
    """The port of an Envoy that balances /ring_hash and /maglev over the three by the header x-user."""
    port = free_port()

    def cluster(name: str) -> dict[str, Any]:
        ends = [
            {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": each.port}}}} for each in three
        ]
        assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": ends}]}
        return {"name": name, "type": "STATIC", "lb_policy": name.upper(), "load_assignment": assignment}

    hashed = [{"header": {"header_name": "x-user"}}]
    names = ("ring_hash", "maglev")
    routes = [{"match": {"prefix": f"/{name}"}, "route": {"cluster": name, "hash_policy": hashed}} for name in names]
    manager = {
        "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "here",
        "route_config": {"virtual_hosts": [{"name": "every", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"}}],
    }
    listener = {
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    async with envoys.running(
        tmp_path, {"static_resources": {"listeners": [listener], "clusters": [cluster(name) for name in names]}}
    ):
        yield port


async def test_the_same_user_goes_where_envoy_would_send_them(tmp_path: Path, three: list[Backend], envoy: int) -> None:
    for kind in ("ring_hash", "maglev"):
        text = tagged(only(*addresses(three)), node={"balancer": kind, "sticky": "header x-user"})
        async with proxy(text, tmp_path) as running:
            ours = await chosen(running.egress_port)
        assert ours == await chosen(envoy, f"/{kind}")
        assert len(set(ours.values())) == 3


async def test_a_cookie_keeps_a_client_at_one_endpoint_until_that_is_ejected(tmp_path: Path) -> None:
    failing: set[bytes] = set()

    def named(name: bytes) -> Any:
        return lambda _: Reply(500 if name in failing else 200, name)

    async with backend(named(b"one")) as one, backend(named(b"other")) as other:
        text = only(one.address, other.address, outlierDetection=OUTLIER, http={"retryPolicy": {**NO_RETRY}})
        async with proxy(tagged(text, node={"balancer": "maglev", "sticky": "cookie stay ttl=1h"}), tmp_path) as running:
            first = await get(running.egress_port, "/")
            cookie = re.fullmatch(r'(stay="\w+"); Max-Age=3600; Path=/; HttpOnly', first.headers["set-cookie"])
            assert cookie
            again = [await get(running.egress_port, "/", cookie=cookie[1]) for _ in range(6)]
            assert {answer.body for answer in again} == {first.body}
            assert not any("set-cookie" in answer.headers for answer in again)
            others = {(await get(running.egress_port, "/")).body for _ in range(30)}
            assert others == {b"one", b"other"}, "whoever has no cookie may go anywhere"
            failing.add(first.body)
            statuses = [(await get(running.egress_port, "/", cookie=cookie[1])).status for _ in range(4)]
            assert statuses == [500, 500, 200, 200]


NO_RETRY = {"maxRetries": 0, "perRetryTimeout": {"unit": "ms", "value": 0}, "httpRetryEvents": ["server-error"]}


async def test_a_busy_endpoint_gets_less(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with backend(lambda _: Reply(wait=gate.wait)) as slow, backend() as fast:
        text = tagged(only(slow.address, fast.address), node={"balancer": "least_request"})
        async with proxy(text, tmp_path) as running:
            asked = []
            for number in range(1, 61):
                asked.append(asyncio.create_task(get(running.egress_port, "/")))
                await until(lambda: len(slow.received) + len(fast.received) == number)  # noqa: B023
            gate.set()
            assert {answer.status for answer in await asyncio.gather(*asked)} == {200}
            # The slow one gets another only when both looks fall on it: a quarter of them, not half.
            assert 0 < len(slow.received) < 28


async def test_the_own_zone_first(tmp_path: Path, three: list[Backend]) -> None:
    document = json.loads(tagged(only(*addresses(three)), node={"prefer-zone": "50"}))
    places = [{"address": each.address, "zone": zone} for each, zone in zip(three, ("a", "a", "b"), strict=True)]
    document["virtualNodes"][1]["spec"]["serviceDiscovery"] = {"static": {"endpoints": places}}
    for zone, expected in (("a", {b"0", b"1"}), ("b", {b"2"}), ("c", {b"0", b"1", b"2"})):
        async with proxy(json.dumps(document), tmp_path, zone=zone) as running:
            assert {(await get(running.egress_port, "/")).body for _ in range(9)} == expected


async def test_weights_of_a_file_are_kept(tmp_path: Path, three: list[Backend]) -> None:
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps({"endpoints": [{"address": each.address, "weight": 2**n} for n, each in enumerate(three)]}))
    document = json.loads(only("127.0.0.1:1"))
    document["virtualNodes"][1]["spec"]["serviceDiscovery"] = {"file": {"path": str(file)}}
    async with proxy(json.dumps(document), tmp_path) as running:
        await until(lambda: len(running.live.targets[0].pools) == 3)
        found = Counter([(await get(running.egress_port, "/")).body for _ in range(70)])
        assert [abs(found[str(number).encode()] - 10 * 2**number) <= 1 for number in range(3)] == [True] * 3


SERVER = """
import asyncio
async def serve(reader, writer):
    while await reader.readuntil(b"\\r\\n\\r\\n"):
        await asyncio.sleep(0.002)
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


@asynccontextmanager
async def processes(tmp_path: Path) -> AsyncIterator[tuple[list[Process], int]]:
    """Two backends and a proxy in processes of their own; the port of the proxy's egress."""
    running = [Process(tmp_path / f"backend-{number}", sys.executable, "-c", SERVER) for number in range(2)]
    try:
        await until(lambda: all(each.check() or "port" in each.said() for each in running))
        ports = [each.said().split()[1] for each in running]
        mesh_file = tmp_path / "mesh.json"
        mesh_file.write_text(only(*(f"127.0.0.1:{port}" for port in ports), outlierDetection=OUTLIER))
        settings = ProxySettings(mesh_file, "web", ingress_port=0, egress_port=0, admin_port=0)
        told = json.dumps(asdict(settings), default=str)
        companion = Process(tmp_path / "proxy.log", sys.executable, "-m", "cli.proxy_process", told)
        running.append(companion)
        await until(lambda: companion.check() or "admin listens" in companion.said())
        found = re.search(r"egress of web listens on [\d.]+:(\d+)", companion.said())
        assert found
        yield running, int(found[1])
    finally:
        for each in running:
            each.kill()


async def test_kill_9_of_one_of_two_targets_under_load_fails_no_request(tmp_path: Path) -> None:
    async with processes(tmp_path) as (running, port):
        answered: Counter[int] = Counter()

        async def ask() -> None:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers={"host": "api.local"}) as client:
                for _ in range(300):
                    answered[(await client.get("/")).status_code] += 1

        async def kill() -> None:
            await until(lambda: answered.total() > 200)
            running[0].kill()

        # The retry budget lets three at a time be tried again: of more, some would fail at the moment of the kill.
        await asyncio.gather(kill(), *(ask() for _ in range(3)))
        assert answered == {200: 900}
