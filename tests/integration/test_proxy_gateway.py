"""A companion proxy as a virtual gateway, against real sockets."""

from pathlib import Path

import pytest

from tests.fakes.gateways import EDGE, edge_mesh, gateway_route
from tests.fakes.http_peers import Reply, backend, get
from tests.fakes.proxies import proxy, route

REWRITES = [
    ("default", "/api", None, "/api/pay?x=1", ("api.local", "/pay?x=1")),
    ("default-exactly", "/api", None, "/api", ("api.local", "/")),
    ("default-slash", "/api/", None, "/api/pay", ("api.local", "/pay")),
    ("default-query", "/api", None, "/api?x=1", ("api.local", "/?x=1")),
    ("root", "/", None, "/pay", ("api.local", "/pay")),
    ("prefix-kept", "/api", {"prefix": {"defaultPrefix": "DISABLED"}}, "/api/pay", ("api.local", "/api/pay")),
    ("prefix-default", "/api", {"prefix": {"defaultPrefix": "ENABLED"}}, "/api/pay", ("api.local", "/pay")),
    ("prefix-value", "/api", {"prefix": {"value": "/v2/"}}, "/api/pay", ("api.local", "/v2/pay")),
    ("path", "/api", {"path": {"exact": "/all"}}, "/api/pay?x=1", ("api.local", "/all?x=1")),
    ("host-kept", "/api", {"hostname": {"defaultTargetHostname": "DISABLED"}}, "/api/pay", ("shop.example", "/pay")),
    ("host-default", "/api", {"hostname": {"defaultTargetHostname": "ENABLED"}}, "/api/pay", ("api.local", "/pay")),
]


@pytest.mark.parametrize(
    ("prefix", "rewrite", "asked", "arrives"), [case[1:] for case in REWRITES], ids=[case[0] for case in REWRITES]
)
async def test_host_and_path_are_rewritten(
    tmp_path: Path, prefix: str, rewrite: dict[str, object] | None, asked: str, arrives: tuple[str, str]
) -> None:
    more = {"rewrite": rewrite} if rewrite else {}
    async with backend() as one:
        text = edge_mesh([gateway_route("r", "api.local", {"prefix": prefix}, **more)], one.address)
        async with proxy(text, tmp_path, beside=EDGE, gateway=True) as edge:
            assert (await get(edge.ingress_port, asked, "shop.example")).status == 200
            assert (one.received[0].headers["host"], one.received[0].target) == arrives


async def test_the_host_chooses_among_routes_exact_before_suffix_before_any(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(body=b"one")) as one, backend(lambda _: Reply(body=b"two")) as two:
        routes = [
            gateway_route("any", "api.local", {"prefix": "/"}),
            gateway_route("suffix", "other.local", {"hostname": {"suffix": ".example"}}),
            gateway_route("exact", "api.local", {"hostname": {"exact": "api.example"}, "prefix": "/v1"}),
            gateway_route("first", "other.local", {"prefix": "/now"}, priority=0),
        ]
        async with proxy(edge_mesh(routes, one.address, two.address), tmp_path, beside=EDGE, gateway=True) as edge:

            async def answers(host: str, path: str) -> bytes:
                return (await get(edge.ingress_port, path, host)).body

            assert await answers("api.example", "/v1/x") == b"one"
            assert await answers("API.example:8088", "/v1/x") == b"one"
            assert await answers("api.example", "/x") == b"two"
            assert await answers("www.example", "/v1/x") == b"two"
            assert await answers("example", "/v1/x") == b"one"
            assert await answers("elsewhere", "/") == b"one"
            assert await answers("elsewhere", "/now") == b"two"
            assert await answers("api.example", "/now") == b"two"


async def test_a_route_of_the_service_matches_what_was_rewritten(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(body=b"one")) as one, backend(lambda _: Reply(body=b"two")) as two:
        service_routes = [route("all", "/pay", {"one": 1}), route("v2", "/pay/v2", {"two": 1})]
        routes = [gateway_route("r", "api.local", {"prefix": "/shop/"})]
        text = edge_mesh(routes, one.address, two.address, service_routes=service_routes)
        async with proxy(text, tmp_path, beside=EDGE, gateway=True) as edge:
            assert (await get(edge.ingress_port, "/shop/pay/1", "x")).body == b"one"
            assert (await get(edge.ingress_port, "/shop/pay/v2", "x")).body == b"two"
            assert (await get(edge.ingress_port, "/shop/other", "x")).status == 404
            assert (await get(edge.ingress_port, "/pay/1", "x")).status == 404
            assert edge.ingress.counts.flags == {"NR": 2}


async def test_a_gateway_retries_as_callers_do(tmp_path: Path) -> None:
    statuses = iter([503, 503, 200])
    async with backend(lambda _: Reply(next(statuses))) as one:
        text = edge_mesh([gateway_route("r", "api.local", {"prefix": "/api"})], one.address)
        async with proxy(text, tmp_path, beside=EDGE, gateway=True) as edge:
            assert (await get(edge.ingress_port, "/api/x", "x")).status == 200
            assert [request.target for request in one.received] == ["/x", "/x", "/x"]
