"""Companion proxies for tests: mesh files by what they are to show, and proxies running in the test's own loop."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from core.clock import Clock
from mesh_proxy.proxy import Proxy
from mesh_proxy.settings import ProxySettings

NODE = "web"
OUTLIER = {
    "maxServerErrors": 2,
    "interval": {"unit": "ms", "value": 100},
    "baseEjectionDuration": {"unit": "ms", "value": 300},
    "maxEjectionPercent": 100,
}


def node(
    name: str,
    addresses: list[str],
    *,
    version: str = "",
    service: str = "",
    port: int = 1,
    protocol: str = "http",
    **listener: Any,
) -> dict[str, Any]:
    """A virtual node with a listener."""
    return {
        "virtualNodeName": name,
        "tags": [{"key": "meshscope/service", "value": service or name}, {"key": "meshscope/version", "value": version}],
        "spec": {
            "listeners": [{"portMapping": {"port": port, "protocol": protocol}, **listener}],
            "serviceDiscovery": {"static": {"endpoints": addresses}},
        },
    }


def route(name: str, prefix: str, weights: dict[str, int], *, protocol: str = "http", **http: Any) -> dict[str, Any]:
    """A route of the one router."""
    targets = [{"virtualNode": target, "weight": weight} for target, weight in weights.items()]
    return {
        "routeName": name,
        "spec": {
            f"{protocol}Route": {
                "match": {} if protocol == "grpc" else {"prefix": prefix},
                "action": {"weightedTargets": targets},
                **http,
            }
        },
    }


def retries(*events: str, limit: int = 2, per_try_ms: int = 0) -> dict[str, Any]:
    """A retry policy."""
    policy: dict[str, Any] = {"maxRetries": limit, "perRetryTimeout": {"unit": "ms", "value": per_try_ms}}
    http, tcp = (
        [event for event in events if event != "connection-error"],
        [event for event in events if event == "connection-error"],
    )
    return policy | ({"httpRetryEvents": http} if http else {}) | ({"tcpRetryEvents": tcp} if tcp else {})


NO_RETRIES = retries("server-error", limit=0)


def mesh(routes: list[dict[str, Any]], nodes: list[dict[str, Any]], *, port: int = 1) -> str:
    """A mesh in which the node ``web`` calls ``api.local``, which a router answers for."""
    web = node(NODE, ["127.0.0.1:1"], port=port, version="v0")
    web["spec"]["backends"] = [{"virtualService": {"virtualServiceName": "api.local"}}]
    service = {"virtualServiceName": "api.local", "spec": {"provider": {"virtualRouter": {"virtualRouterName": "api"}}}}
    return json.dumps(
        {
            "mesh": {"meshName": "test"},
            "virtualServices": [service],
            "virtualRouters": [{"virtualRouterName": "api", "routes": routes}],
            "virtualNodes": [web, *nodes],
        },
        indent=1,
    )


def only(*addresses: str, http: dict[str, Any] | None = None, protocol: str = "http", **listener: Any) -> str:
    """A mesh in which everything goes to the node ``api`` (service ``backend``, version ``v1``) at ``addresses``."""
    target = node("api", list(addresses), service="backend", version="v1", protocol=protocol, **listener)
    return mesh([route("all", "/", {"api": 1}, protocol=protocol, **(http or {}))], [target])


def tagged(mesh_text: str, *, node: dict[str, str] | None = None, route: dict[str, str] | None = None) -> str:
    """Return the mesh of ``only`` with tags on its node ``api`` and on its route; keys without ``meshscope/``."""
    document = json.loads(mesh_text)
    places = (document["virtualNodes"][1], node), (document["virtualRouters"][0]["routes"][0], route)
    for resource, tags in places:
        resource.setdefault("tags", [])
        resource["tags"] += [{"key": f"meshscope/{word}", "value": value} for word, value in (tags or {}).items()]
    return json.dumps(document, indent=1)


@asynccontextmanager
async def proxy(
    mesh_text: str, tmp_path: Path, *, beside: str = NODE, otlp: str | None = None, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[Proxy]:
    """Run a proxy on free ports."""
    mesh_file = tmp_path / f"{beside}.json"
    mesh_file.write_text(mesh_text)
    running = Proxy(
        ProxySettings(
            mesh_file, beside, ingress_port=0, egress_port=0, otlp_endpoint=otlp, instance_id=f"{beside}-1", **settings
        ),
        clock,
    )
    await running.start()
    try:
        yield running
    finally:
        await running.stop()
