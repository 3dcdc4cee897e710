"""A mesh with a gateway before two services, for tests."""

import json
from typing import Any

from tests.fakes.proxies import mesh, node, route

EDGE = "edge"


def gateway_route(name: str, service: str, match: dict[str, Any], *, kind: str = "httpRoute", **more: Any) -> dict[str, Any]:
    """A gateway route; ``rewrite`` and ``port`` belong to its action, ``priority`` to its spec."""
    target: dict[str, Any] = {"virtualService": {"virtualServiceName": service}}
    if "port" in more:
        target["port"] = more["port"]
    action = {"target": target} | ({"rewrite": more["rewrite"]} if "rewrite" in more else {})
    spec: dict[str, Any] = {kind: {"match": match, "action": action}}
    if "priority" in more:
        spec["priority"] = more["priority"]
    return {"gatewayRouteName": name, "spec": spec}


def edge_mesh(routes: list[dict[str, Any]], *addresses: str, service_routes: list[dict[str, Any]] | None = None) -> str:
    """A mesh whose gateway leads to ``api.local`` (a router, by default everything to the node ``one``) and ``other.local``."""
    first, *others = addresses
    nodes = [node("one", [first]), *(node("two", [address]) for address in others)]
    document = json.loads(mesh(service_routes or [route("all", "/", {"one": 1})], nodes))
    document["virtualGateways"] = [
        {
            "virtualGatewayName": EDGE,
            "spec": {"listeners": [{"portMapping": {"port": 8088, "protocol": "http"}}]},
            "gatewayRoutes": routes,
        }
    ]
    provider = {"virtualNode": {"virtualNodeName": "two" if others else "one"}}
    document["virtualServices"].append({"virtualServiceName": "other.local", "spec": {"provider": provider}})
    return json.dumps(document, indent=1)
