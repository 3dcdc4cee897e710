"""What one proxy is told of a mesh: listeners, targets by port and policy, gateways, tags."""

import json

import pytest

from mesh_model.compile import compile_table
from mesh_model.endpoints import Dns, StaticEndpoints
from mesh_model.gateways import UnknownVirtualGateway, compile_gateway
from mesh_model.matches import EVERYTHING, Match, PathMatch
from mesh_model.meshfile import load_mesh
from mesh_model.resources import ConnectionPool, Rewrite
from mesh_model.table import Choice
from mesh_model.tls import FileTrust
from tests.fakes.gateways import EDGE, edge_mesh, gateway_route
from tests.fakes.proxies import route

SEVERAL = """\
mesh: {meshName: m, spec: {egressFilter: {type: ALLOW_ALL}, serviceDiscovery: {ipPreference: IPv4_ONLY}}}
virtualServices:
  - virtualServiceName: ports.local
    spec: {provider: {virtualNode: {virtualNodeName: ports}}}
  - virtualServiceName: plain.local
    tags: [{key: meshscope/fault-abort, value: "500"}, {key: meshscope/fault-delay, value: 1s}]
    spec: {provider: {virtualRouter: {virtualRouterName: r}}}
  - virtualServiceName: strict.local
    spec: {provider: {virtualRouter: {virtualRouterName: r}}}
virtualRouters:
  - virtualRouterName: r
    spec: {listeners: [{portMapping: {port: 90, protocol: http}}]}
    routes:
      - routeName: tcp
        spec: {tcpRoute: {action: {weightedTargets: [{virtualNode: ports, weight: 1, port: 83}]}}}
      - routeName: grpc
        spec: {grpcRoute: {match: {}, action: {weightedTargets: [{virtualNode: ports, weight: 1}]}}}
      - routeName: http
        tags: [{key: meshscope/fault-abort, value: "503"}, {key: other, value: c}]
        spec: {httpRoute: {match: {prefix: /}, action: {weightedTargets: [{virtualNode: single, weight: 1}]}}}
virtualNodes:
  - virtualNodeName: ports
    tags: [{key: meshscope/balancer, value: random}]
    spec:
      listeners:
        - portMapping: {port: 80, protocol: http}
        - portMapping: {port: 82, protocol: grpc}
        - portMapping: {port: 83, protocol: tcp}
      serviceDiscovery: {static: {endpoints: ["127.0.0.1:1", {address: "127.0.0.1:2", port: 82}]}}
  - virtualNodeName: single
    spec:
      listeners: [{portMapping: {port: 80, protocol: http}}]
      serviceDiscovery: {dns: {hostname: single.internal}}
  - virtualNodeName: web
    spec:
      backendDefaults: {clientPolicy: {tls: {enforce: false, validation: {trust: {file: {certificateChain: /ca}}}}}}
      backends:
        - {virtualService: {virtualServiceName: ports.local}}
        - {virtualService: {virtualServiceName: plain.local}}
        - virtualService:
            virtualServiceName: strict.local
            clientPolicy: {tls: {validation: {trust: {file: {certificateChain: /ca}}}}}
"""


def test_every_listener_of_a_node_is_a_target_of_its_own() -> None:
    table = compile_table(load_mesh(SEVERAL), "web")
    ports = {
        target.name: (target.port, target.protocol, target.discovery)
        for target in table.targets
        if target.virtual_node == "ports"
    }
    assert ports == {
        "ports:80": (80, "http", StaticEndpoints.of("127.0.0.1:1")),
        "ports:82": (82, "grpc", load_mesh(SEVERAL).virtual_nodes[0].discovery),
        "ports:83": (83, "tcp", StaticEndpoints.of("127.0.0.1:1")),
        "ports:82 as strict.local": (82, "grpc", load_mesh(SEVERAL).virtual_nodes[0].discovery),
        "ports:83 as strict.local": (83, "tcp", StaticEndpoints.of("127.0.0.1:1")),
    }


def test_a_service_of_one_node_with_several_listeners_is_chosen_by_port() -> None:
    host = compile_table(load_mesh(SEVERAL), "web").egress[0]
    assert [(entry.match, entry.choices) for entry in host.routes] == [
        (Match(port=80), (Choice("ports:80", 1),)),
        (Match(port=82), (Choice("ports:82", 1),)),
        (EVERYTHING, (Choice("ports:80", 1),)),
    ]
    assert [(entry.match, entry.choices) for entry in host.tcp] == [(Match(port=83), (Choice("ports:83", 1),))]


def test_one_node_under_two_policies_is_two_targets() -> None:
    table = compile_table(load_mesh(SEVERAL), "web")
    tls = {target.name: target.tls for target in table.targets if target.virtual_node == "single"}
    assert list(tls) == ["single", "single as strict.local"]
    assert tls["single"] is None
    strict = tls["single as strict.local"]
    assert strict is not None
    assert (strict.trust, strict.names) == (FileTrust("/ca"), ("single.internal",))
    assert table.egress[2].routes[-1].choices == (Choice("single as strict.local", 1),)


def test_routes_for_connections_are_told_apart_and_ports_are_named() -> None:
    host = compile_table(load_mesh(SEVERAL), "web").egress[1]
    assert [entry.name for entry in host.tcp] == ["tcp"]
    assert [entry.name for entry in host.routes] == ["grpc", "http"]
    assert [(mapping.port, mapping.protocol) for mapping in host.ports] == [(90, "http")]


def test_what_the_mesh_says_of_addresses_holds_where_a_node_says_nothing() -> None:
    targets = {target.name: target for target in compile_table(load_mesh(SEVERAL), "web").targets}
    assert targets["single"].discovery == Dns("single.internal", ip_preference="IPv4_ONLY")


def test_tags_are_passed_on_the_nearer_ones_over_the_others() -> None:
    table = compile_table(load_mesh(SEVERAL), "web")
    assert dict(table.egress[1].routes[1].options) == {"fault-delay": "1s", "fault-abort": "503"}
    assert dict(table.targets[0].options) == {"balancer": "random"}
    assert dict(compile_table(load_mesh(SEVERAL), "ports").options) == {"balancer": "random"}


def test_every_listener_of_the_own_node_is_an_ingress() -> None:
    table = compile_table(load_mesh(SEVERAL), "ports")
    assert [(each.port, each.protocol) for each in table.ingress] == [(80, "http"), (82, "grpc"), (83, "tcp")]
    applications = [each.application for each in table.ingress]
    assert [each.discovery for each in applications if each] == [StaticEndpoints.of(f"127.0.0.1:{port}") for port in (80, 82, 83)]
    assert len({each.name for each in applications if each}) == 3
    assert table.ingress[2].hosts[-1].tcp
    assert not table.ingress[2].hosts[-1].routes
    assert table.pass_through


def test_tables_are_values() -> None:
    first, second = (compile_table(load_mesh(SEVERAL), "web") for _ in range(2))
    assert first == second
    assert hash(first.targets) == hash(second.targets)


def test_a_gateway_asks_its_route_and_then_those_of_the_service() -> None:
    routes = [
        gateway_route("low", "api.local", {"prefix": "/"}),
        gateway_route("exact", "api.local", {"hostname": {"exact": "a.example"}, "prefix": "/x"}),
        gateway_route("suffix", "other.local", {"hostname": {"suffix": "*.example"}}),
    ]
    service_routes = [route("all", "/", {"one": 1}), route("pay", "/pay", {"one": 1})]
    table = compile_gateway(load_mesh(edge_mesh(routes, "127.0.0.1:1", service_routes=service_routes)), EDGE)
    (ingress,) = table.ingress
    hosts = {host.host: [(entry.virtual_service, entry.name) for entry in host.routes] for host in ingress.hosts}
    assert hosts == {
        "a.example": [
            ("api.local", "pay"),
            ("api.local", "all"),
            ("other.local", "default"),
            ("api.local", "pay"),
            ("api.local", "all"),
        ],
        "*.example": [("other.local", "default"), ("api.local", "pay"), ("api.local", "all")],
        "*": [("api.local", "pay"), ("api.local", "all")],
    }
    first = ingress.hosts[0].routes[0]
    assert (first.rewrite, first.behind) == (Rewrite("api.local", "/"), Match(PathMatch("prefix", "/pay")))
    assert (table.egress, ingress.application, ingress.port) == ((), None, 8088)


def test_a_gateway_route_for_a_port_asks_the_routes_for_that_port() -> None:
    service_routes = [route("all", "/", {"one": 1}), route("other", "/", {"one": 1}), route("same", "/", {"one": 1})]
    service_routes[1]["spec"]["httpRoute"]["match"]["port"] = 81
    service_routes[2]["spec"]["httpRoute"]["match"]["port"] = 80
    text = edge_mesh([gateway_route("r", "api.local", {"prefix": "/"}, port=80)], "127.0.0.1:1", service_routes=service_routes)
    entries = compile_gateway(load_mesh(text), EDGE).ingress[0].hosts[0].routes
    assert [(entry.name, entry.behind) for entry in entries] == [("same", EVERYTHING), ("all", EVERYTHING)]


def test_the_limits_of_a_gateway_hold_for_what_it_calls() -> None:
    document = json.loads(edge_mesh([gateway_route("r", "api.local", {"prefix": "/"})], "127.0.0.1:1"))
    pools = {"one": {"maxConnections": 5, "maxPendingRequests": 9}, "edge": {"maxConnections": 7, "maxPendingRequests": 3}}
    document["virtualNodes"][1]["spec"]["listeners"][0]["connectionPool"] = {"http": pools["one"]}
    document["virtualGateways"][0]["spec"]["listeners"][0]["connectionPool"] = {"http": pools["edge"]}
    (target,) = compile_gateway(load_mesh(json.dumps(document)), EDGE).targets
    assert target.connection_pool == ConnectionPool(5, 3)


def test_an_unknown_gateway_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownVirtualGateway, match="no virtual gateway `egde`; it has: edge"):
        compile_gateway(load_mesh(json.dumps(json.loads(edge_mesh([], "127.0.0.1:1")))), "egde")
