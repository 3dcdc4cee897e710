"""What one proxy needs to know of a mesh: hosts, routes and targets, compiled for the virtual node it stands beside."""

from collections.abc import Iterator
from dataclasses import dataclass

from core.faults import Fault
from mesh_model.resources import (
    NO_LIMITS,
    ConnectionPool,
    Dns,
    Mesh,
    OutlierDetection,
    RetryPolicy,
    Route,
    StaticEndpoints,
    Timeout,
    VirtualNode,
    VirtualService,
    WeightedTarget,
)

ANY_HOST = "*"
DEFAULT_ROUTE = "default"


class UnknownVirtualNode(Fault):
    """The proxy was told to stand beside a virtual node that the mesh does not have."""

    code = "unknown_virtual_node"


@dataclass(frozen=True, slots=True)
class Target:
    """A virtual node as the proxy calls it: where it is found and what protects it. ``dns_port`` goes with a Dns discovery."""

    virtual_node: str
    service: str
    version: str
    discovery: StaticEndpoints | Dns | None
    dns_port: int = 0
    outlier_detection: OutlierDetection | None = None
    connection_pool: ConnectionPool = NO_LIMITS


@dataclass(frozen=True, slots=True)
class Choice:
    """One target of a route and its weight relative to the others (above 0)."""

    virtual_node: str
    weight: int


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """Where requests with a path prefix go. ``retry`` None means: the mesh's default policy outbound, no retries inbound."""

    name: str
    prefix: str
    virtual_service: str
    choices: tuple[Choice, ...]
    timeout: Timeout
    retry: RetryPolicy | None = None


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """The routes for one Host, in the order in which they are asked; the host ``*`` answers for all others."""

    host: str
    routes: tuple[RouteEntry, ...]


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Everything one proxy routes by. ``application`` is the proxy's own application, reached by the ingress."""

    mesh: str
    virtual_node: str
    service: str
    version: str
    egress: tuple[VirtualHost, ...]
    ingress: tuple[VirtualHost, ...]
    targets: tuple[Target, ...]
    application: Target | None


def compile_table(mesh: Mesh, virtual_node: str) -> RouteTable:
    """Return the table of the proxy that stands beside ``virtual_node``. Raises UnknownVirtualNode."""
    node = mesh.node(virtual_node)
    if node is None:
        there = ", ".join(sorted(each.name for each in mesh.virtual_nodes)) or "none"
        raise UnknownVirtualNode(f"the mesh `{mesh.name}` has no virtual node `{virtual_node}`; it has: {there}")
    egress = tuple(_egress_host(mesh, service) for service in mesh.virtual_services if service.name in node.backends)
    called = {choice.virtual_node for host in egress for route in host.routes for choice in route.choices}
    return RouteTable(
        mesh=mesh.name,
        virtual_node=node.name,
        service=node.service,
        version=node.version,
        egress=egress,
        ingress=tuple(_ingress_hosts(mesh, node)),
        targets=tuple(_target(each) for each in mesh.virtual_nodes if each.name in called),
        application=_application(node),
    )


def _egress_host(mesh: Mesh, service: VirtualService) -> VirtualHost:
    return VirtualHost(
        service.name,
        tuple(
            RouteEntry(
                name=route.name,
                prefix=route.prefix,
                virtual_service=service.name,
                choices=tuple(Choice(target.virtual_node, target.weight) for target in route.targets if target.weight),
                timeout=route.timeout,
                retry=route.retry,
            )
            for route in _routes_of(mesh, service)
        ),
    )


def _ingress_hosts(mesh: Mesh, node: VirtualNode) -> Iterator[VirtualHost]:
    """Yield the services that lead to ``node`` with the routes that do, so that both sides of a call name the same route."""
    if node.listener is None:
        return
    to_application = (Choice(node.name, 1),)
    timeout = node.listener.timeout
    for service in mesh.virtual_services:
        leading = [
            route for route in _routes_of(mesh, service) if any(target.virtual_node == node.name for target in route.targets)
        ]
        entries = [RouteEntry(route.name, route.prefix, service.name, to_application, timeout) for route in leading]
        if entries and not any(entry.prefix == "/" for entry in entries):
            entries.append(RouteEntry(DEFAULT_ROUTE, "/", service.name, to_application, timeout))
        if entries:
            yield VirtualHost(service.name, tuple(entries))
    yield VirtualHost(ANY_HOST, (RouteEntry(DEFAULT_ROUTE, "/", "", to_application, timeout),))


def _routes_of(mesh: Mesh, service: VirtualService) -> list[Route]:
    """Return the routes of a service in the order they are asked: by priority (unset last), then the longest prefix."""
    if service.provider is None:
        return []
    if service.provider.kind == "virtualNode":
        return [Route(DEFAULT_ROUTE, "/", (WeightedTarget(service.provider.name, 1),))]
    router = mesh.router(service.provider.name)
    return sorted(router.routes if router else (), key=lambda route: (_rank(route), -len(route.prefix)))


def _rank(route: Route) -> int:
    return 1001 if route.priority is None else route.priority


def _target(node: VirtualNode) -> Target:
    listener = node.listener
    return Target(
        virtual_node=node.name,
        service=node.service,
        version=node.version,
        discovery=node.discovery,
        dns_port=listener.port if listener else 0,
        outlier_detection=listener.outlier_detection if listener else None,
        connection_pool=listener.connection_pool if listener else NO_LIMITS,
    )


def _application(node: VirtualNode) -> Target | None:
    """The application listens beside its proxy, on the port its listener names; ejecting it would help nobody."""
    if node.listener is None:
        return None
    at = StaticEndpoints((f"127.0.0.1:{node.listener.port}",))
    return Target(node.name, node.service, node.version, at, connection_pool=node.listener.connection_pool)
