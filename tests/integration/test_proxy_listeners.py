"""A virtual node with several listeners, each served at a port of its own, and called by the port of a target."""

import json
from pathlib import Path

import pytest

from mesh_proxy.unserved import NotServedYet
from tests.fakes.http_peers import Reply, backend, get
from tests.fakes.proxies import mesh, node, proxy, route


def two_listeners(first: int, second: int, addresses: list[object]) -> str:
    routes = [route("one", "/", {"api": 1}), route("two", "/two", {"api": 1})]
    for each, port in zip(routes, (first, second), strict=True):
        each["spec"]["httpRoute"]["action"]["weightedTargets"][0]["port"] = port
    api = node("api", [])
    api["spec"]["listeners"] = [{"portMapping": {"port": port, "protocol": "http"}} for port in (first, second)]
    api["spec"]["serviceDiscovery"] = {"static": {"endpoints": addresses}}
    return json.dumps(json.loads(mesh(routes, [api])), indent=1)


async def test_each_listener_has_its_own_way_from_caller_to_application(tmp_path: Path) -> None:
    async with backend(lambda _: Reply(body=b"one")) as one, backend(lambda _: Reply(body=b"two")) as two:
        text = two_listeners(one.port, two.port, ["127.0.0.1:1"])
        async with proxy(text, tmp_path, beside="api", listener_ports=((two.port, 0),)) as api:
            further = api.further_ports[two.port]
            assert (await get(api.ingress_port, "/", "api.local")).body == b"one"
            assert (await get(further, "/", "api.local")).body == b"two"
            at = [
                {"address": f"127.0.0.1:{api.ingress_port}", "port": one.port},
                {"address": f"127.0.0.1:{further}", "port": two.port},
            ]
            async with proxy(two_listeners(one.port, two.port, at), tmp_path) as web:
                assert (await get(web.egress_port, "/", "api.local")).body == b"one"
                assert (await get(web.egress_port, "/two", "api.local")).body == b"two"
            assert (api.ingress.counts.requests, api.further[two.port].counts.requests) == (2, 2)


async def test_a_listener_that_the_mesh_has_lost_routes_nothing(tmp_path: Path) -> None:
    async with backend() as one, backend() as two:
        text = two_listeners(one.port, two.port, ["127.0.0.1:1"])
        async with proxy(text, tmp_path, beside="api", listener_ports=((two.port, 0),)) as api:
            document = json.loads(text)
            del document["virtualNodes"][1]["spec"]["listeners"][1]
            document["virtualRouters"][0]["routes"].pop()
            api.settings.mesh_file.write_text(json.dumps(document))
            api.reload()
            assert (await get(api.ingress_port, "/", "api.local")).status == 200
            assert (await get(api.further_ports[two.port], "/", "api.local")).status == 404


async def test_a_listener_without_a_port_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(NotServedYet, match=r"the listener at 7002: .*--listener 7002=15002"):
        async with proxy(two_listeners(7001, 7002, ["127.0.0.1:1"]), tmp_path, beside="api"):
            pass
