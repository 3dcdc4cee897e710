"""The table of a virtual gateway's proxy: requests from outside become requests to virtual services."""

from collections.abc import Iterator
from dataclasses import replace

from core.faults import Fault
from mesh_model.compile import outbound_entries
from mesh_model.matches import Match
from mesh_model.order import rank
from mesh_model.resources import ConnectionPool, GatewayRoute, Listener, Mesh, VirtualGateway
from mesh_model.table import ANY_HOST, Ingress, RouteEntry, RouteTable, Target, VirtualHost
from mesh_model.targets import Targets


class UnknownVirtualGateway(Fault):
    """The proxy was told to stand for a virtual gateway that the mesh does not have."""

    code = "unknown_virtual_gateway"


def compile_gateway(mesh: Mesh, virtual_gateway: str) -> RouteTable:
    """Return the table of the proxy that stands for ``virtual_gateway``. Raises UnknownVirtualGateway."""
    gateway = mesh.gateway(virtual_gateway)
    if gateway is None:
        there = ", ".join(sorted(each.name for each in mesh.virtual_gateways)) or "none"
        raise UnknownVirtualGateway(f"the mesh `{mesh.name}` has no virtual gateway `{virtual_gateway}`; it has: {there}")
    targets = Targets(mesh)
    entries = [(route, _entries(mesh, gateway, route, targets)) for route in sorted(gateway.routes, key=rank)]
    return RouteTable(
        mesh=mesh.name,
        virtual_node=gateway.name,
        service=gateway.service,
        version=gateway.version,
        egress=(),
        ingress=tuple(_ingress(listener, entries) for listener in gateway.listeners),
        targets=tuple(_limited(target, gateway) for target in targets.named),
        access_log=gateway.access_log,
        options=gateway.options,
    )


def _limited(target: Target, gateway: VirtualGateway) -> Target:
    """Return the target with a gateway's limits over its own: they are for what the gateway calls, and the tighter one holds."""
    pools = [target.connection_pool, *(listener.connection_pool for listener in gateway.listeners)]
    tightest = ConnectionPool(
        min(pool.max_connections for pool in pools),
        min(pool.max_pending_requests for pool in pools),
        min(pool.max_requests for pool in pools),
    )
    return replace(target, connection_pool=tightest)


def _ingress(listener: Listener, entries: list[tuple[GatewayRoute, list[RouteEntry]]]) -> Ingress:
    return Ingress(
        listener.port,
        listener.protocol,
        tuple(_hosts(entries)),
        tls=listener.tls,
    )


def _entries(mesh: Mesh, gateway: VirtualGateway, outer: GatewayRoute, targets: Targets) -> list[RouteEntry]:
    """Return the routes behind a gateway route: both it and, once rewritten, one of the service's must match."""
    service = mesh.service(outer.virtual_service)
    assert service is not None, "names were checked when the mesh was read"
    inner = outbound_entries(mesh, service, targets, gateway.backend_tls)
    options = gateway.options.under(outer.options)
    return [
        replace(
            entry,
            match=outer.match,
            rewrite=outer.rewrite,
            behind=replace(entry.match, port=None),
            options=options.under(entry.options),
        )
        for entry in inner
        if entry.protocol != "tcp" and _asks_for_port(entry.match, outer.port)
    ]


def _asks_for_port(match: Match, port: int | None) -> bool:
    """Whether a service's route serves the port that the gateway route calls; without one, every route does."""
    return port is None or match.port is None or match.port == port


def _hosts(entries: list[tuple[GatewayRoute, list[RouteEntry]]]) -> Iterator[VirtualHost]:
    """Yield every host that is told apart, each with all routes that a request for it may take."""
    told = {route.match.host for route, _ in entries if route.match.host}
    exact = sorted({host.text for host in told if host.kind == "exact"})
    suffixes = sorted({host.text for host in told if host.kind == "suffix"}, key=len, reverse=True)
    for name in exact:
        yield VirtualHost(name, tuple(_of_host(entries, name, name)))
    for suffix in suffixes:
        yield VirtualHost(f"*{suffix}", tuple(_of_host(entries, None, suffix)))
    yield VirtualHost(ANY_HOST, tuple(_of_host(entries, None, "")))


def _of_host(entries: list[tuple[GatewayRoute, list[RouteEntry]]], exact: str | None, ending: str) -> Iterator[RouteEntry]:
    for route, found in entries:
        host = route.match.host
        if host is None or (host.text == exact if host.kind == "exact" else ending.endswith(host.text)):
            yield from found
