"""From a mesh to the table of one proxy: what the virtual node may call, and what may call it."""

from collections.abc import Iterable, Iterator

from core.faults import Fault
from mesh_model.endpoints import StaticEndpoints
from mesh_model.matches import EVERYTHING, Match
from mesh_model.order import rank
from mesh_model.resources import (
    Listener,
    Mesh,
    PortMapping,
    Route,
    Timeout,
    VirtualNode,
    VirtualService,
    WeightedTarget,
)
from mesh_model.table import ANY_HOST, DEFAULT_ROUTE, Choice, Ingress, RouteEntry, RouteTable, Target, VirtualHost
from mesh_model.targets import Targets
from mesh_model.tls import ClientTls

UNTIMED = Timeout(per_request_s=0.0)


class UnknownVirtualNode(Fault):
    """The proxy was told to stand beside a virtual node that the mesh does not have."""

    code = "unknown_virtual_node"


def compile_table(mesh: Mesh, virtual_node: str) -> RouteTable:
    """Return the table of the proxy that stands beside ``virtual_node``. Raises UnknownVirtualNode."""
    node = mesh.node(virtual_node)
    if node is None:
        there = ", ".join(sorted(each.name for each in mesh.virtual_nodes)) or "none"
        raise UnknownVirtualNode(f"the mesh `{mesh.name}` has no virtual node `{virtual_node}`; it has: {there}")
    targets = Targets(mesh)
    policies = {backend.virtual_service: backend.tls or node.backend_tls for backend in node.backends}
    egress = tuple(
        _host(mesh, service, targets, policies[service.name]) for service in mesh.virtual_services if service.name in policies
    )
    return RouteTable(
        mesh=mesh.name,
        virtual_node=node.name,
        service=node.service,
        version=node.version,
        egress=egress,
        ingress=tuple(_ingress(mesh, node, listener) for listener in node.listeners),
        targets=targets.named,
        pass_through=mesh.egress_filter == "ALLOW_ALL",
        access_log=node.access_log,
        options=node.options,
    )


def _host(mesh: Mesh, service: VirtualService, targets: Targets, policy: ClientTls | None) -> VirtualHost:
    entries = outbound_entries(mesh, service, targets, policy)
    return _virtual_host(service.name, entries, _ports_of(mesh, service))


def outbound_entries(mesh: Mesh, service: VirtualService, targets: Targets, policy: ClientTls | None) -> list[RouteEntry]:
    """Return the routes of a service as a caller asks them."""
    return [
        RouteEntry(
            name=route.name,
            virtual_service=service.name,
            choices=targets.choices(route, service.name, policy),
            match=route.match,
            timeout=route.timeout,
            retry=route.retry,
            protocol=route.protocol,
            mirror=targets.mirror(route, service, policy),
            options=service.options.under(route.options),
        )
        for route in routes_of(mesh, service)
    ]


def _ingress(mesh: Mesh, node: VirtualNode, listener: Listener) -> Ingress:
    application = _application(node, listener)
    hosts = tuple(_ingress_hosts(mesh, node, listener, application.name))
    return Ingress(listener.port, listener.protocol, hosts, application, listener.tls)


def _ingress_hosts(mesh: Mesh, node: VirtualNode, listener: Listener, application: str) -> Iterator[VirtualHost]:
    """Yield the services that lead to ``node`` with the routes that do, so that both sides of a call name the same route."""
    to_application = (Choice(application, 1),)

    def entry(name: str, service: VirtualService | None, match: Match = EVERYTHING, route: Route | None = None) -> RouteEntry:
        return RouteEntry(
            name,
            service.name if service else "",
            to_application,
            match,
            listener.timeout,
            protocol=listener.protocol,
            options=service.options.under(route.options) if service and route else service.options if service else node.options,
        )

    for service in mesh.virtual_services:
        leading = [route for route in routes_of(mesh, service) if any(each.virtual_node == node.name for each in route.targets)]
        entries = [entry(route.name, service, route.match, route) for route in leading]
        if entries and not any(route.match == EVERYTHING for route in leading):
            entries.append(entry(DEFAULT_ROUTE, service))
        if entries:
            yield _virtual_host(service.name, entries, ())
    yield _virtual_host(ANY_HOST, [entry(DEFAULT_ROUTE, None)], ())


def _virtual_host(host: str, entries: Iterable[RouteEntry], ports: tuple[PortMapping, ...]) -> VirtualHost:
    """Return the host with its routes told apart: those for requests, those for connections."""
    every = tuple(entries)
    return VirtualHost(
        host,
        tuple(each for each in every if each.protocol != "tcp"),
        tuple(each for each in every if each.protocol == "tcp"),
        ports,
    )


def routes_of(mesh: Mesh, service: VirtualService) -> list[Route]:
    """Return the routes of a service in the order in which they are asked."""
    if service.provider is None:
        return []
    if service.provider.kind == "virtualNode":
        node = mesh.node(service.provider.name)
        return list(_routes_to(node)) if node else []
    router = mesh.router(service.provider.name)
    return sorted(router.routes if router else (), key=rank)


def _routes_to(node: VirtualNode) -> Iterator[Route]:
    """Yield the routes of a service that one node answers for: with several listeners, the port asked for chooses."""
    several = len(node.listeners) > 1
    for listener in node.listeners if several else ():
        yield _route_to(node, listener, Match(port=listener.port))
    yield _route_to(node, node.listener(None), EVERYTHING)


def _route_to(node: VirtualNode, listener: Listener | None, match: Match) -> Route:
    target = WeightedTarget(node.name, 1, listener.port if listener else None)
    protocol = listener.protocol if listener else "http"
    if protocol == "tcp":
        return Route(DEFAULT_ROUTE, match, (target,), protocol, timeout=UNTIMED)
    return Route(DEFAULT_ROUTE, match, (target,), protocol)


def _ports_of(mesh: Mesh, service: VirtualService) -> tuple[PortMapping, ...]:
    if service.provider is None:
        return ()
    if service.provider.kind == "virtualNode":
        node = mesh.node(service.provider.name)
        return tuple(PortMapping(each.port, each.protocol) for each in node.listeners) if node else ()
    router = mesh.router(service.provider.name)
    return router.listeners if router else ()


def _application(node: VirtualNode, listener: Listener) -> Target:
    """The application listens beside its proxy, on the port its listener names; ejecting it would help nobody."""
    return Target(
        name=f"{node.name}:{listener.port} (application)" if len(node.listeners) > 1 else f"{node.name} (application)",
        virtual_node=node.name,
        service=node.service,
        version=node.version,
        discovery=StaticEndpoints.of(f"127.0.0.1:{listener.port}"),
        port=listener.port,
        protocol=listener.protocol,
        connection_pool=listener.connection_pool,
    )
