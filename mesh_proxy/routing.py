"""A compiled route table bound to live targets: from Host and path to a route."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mesh_model.resources import Timeout
from mesh_model.table import ANY_HOST, RouteEntry, RouteTable, Target, VirtualHost
from mesh_proxy.http_wire import host_name
from mesh_proxy.retry import NO_RETRIES, RetryRule, rule_of
from mesh_proxy.spans import Hop, HopSpans
from mesh_proxy.target import LiveTarget
from mesh_proxy.weights import WeightedChoice

REMEMBERED_HOSTS = 1024
INBOUND, OUTBOUND = "inbound", "outbound"


@dataclass(frozen=True, slots=True)
class Lane:
    """One target of a route, and the writer of the spans on that way."""

    target: LiveTarget
    spans: HopSpans


@dataclass(frozen=True, slots=True)
class LiveRoute:
    """Where requests with a path prefix go."""

    entry: RouteEntry
    prefix: bytes
    lanes: WeightedChoice[Lane]
    rule: RetryRule
    timeout: Timeout


class LiveRoutes:
    """The routes of one direction. Immutable: a reload replaces it whole, requests in flight keep theirs."""

    __slots__ = ("_by_authority", "_by_host", "_for_any", "direction", "unrouted")

    def __init__(self, direction: str, hosts: Mapping[str, tuple[LiveRoute, ...]]) -> None:
        self.direction = direction
        self.unrouted = HopSpans(Hop(direction))
        self._by_host = hosts
        self._for_any = hosts.get(ANY_HOST, ())
        self._by_authority: dict[bytes, tuple[LiveRoute, ...]] = {}

    def match(self, authority: bytes, path: bytes) -> LiveRoute | None:
        """Return the first route of the host whose prefix the path has; the authority's port and case do not matter."""
        routes = self._by_authority.get(authority)
        if routes is None:
            routes = self._remember(authority)
        for route in routes:
            if path.startswith(route.prefix):
                return route
        return None

    def _remember(self, authority: bytes) -> tuple[LiveRoute, ...]:
        if len(self._by_authority) >= REMEMBERED_HOSTS:
            self._by_authority.clear()
        routes = self._by_host.get(host_name(authority), self._for_any)
        self._by_authority[authority] = routes
        return routes


@dataclass(frozen=True, slots=True)
class LiveTable:
    """Both directions of one proxy, and all targets they lead to; ``applications`` are those behind the ingress."""

    table: RouteTable
    ingress: LiveRoutes
    egress: LiveRoutes
    targets: tuple[LiveTarget, ...]
    applications: tuple[LiveTarget, ...]


def bind(
    table: RouteTable, *, old: Iterable[LiveTarget], make_target: Callable[[Target], LiveTarget], chance: Callable[[], float]
) -> LiveTable:
    """Return the live form of ``table``; targets of ``old`` that did not change are taken over with all their state."""
    kept = {target.spec: target for target in old}
    inside = {spec.name: kept.get(spec) or make_target(spec) for spec in (each.application for each in table.ingress) if spec}
    called = {spec.name: kept.get(spec) or make_target(spec) for spec in table.targets}
    hosts = table.ingress[0].hosts if table.ingress else ()
    return LiveTable(
        table=table,
        ingress=_routes(INBOUND, hosts, inside, chance),
        egress=_routes(OUTBOUND, table.egress, called, chance),
        targets=(*called.values(), *inside.values()),
        applications=tuple(inside.values()),
    )


def _routes(
    direction: str, hosts: Iterable[VirtualHost], targets: Mapping[str, LiveTarget], chance: Callable[[], float]
) -> LiveRoutes:
    return LiveRoutes(
        direction,
        {host.host.lower(): tuple(_route(direction, entry, targets, chance) for entry in host.routes) for host in hosts},
    )


def _route(direction: str, entry: RouteEntry, targets: Mapping[str, LiveTarget], chance: Callable[[], float]) -> LiveRoute:
    lanes = [_lane(direction, entry, targets[choice.target]) for choice in entry.choices]
    return LiveRoute(
        entry=entry,
        prefix=entry.path.encode(),
        lanes=WeightedChoice(lanes, [choice.weight for choice in entry.choices], chance),
        rule=rule_of(entry.retry) if direction == OUTBOUND else NO_RETRIES,
        timeout=entry.timeout,
    )


def _lane(direction: str, entry: RouteEntry, target: LiveTarget) -> Lane:
    spec = target.spec
    hop = Hop(
        direction=direction,
        virtual_service=entry.virtual_service,
        route=entry.name,
        prefix=entry.path,
        upstream=spec.virtual_node,
        peer=spec.service,
        peer_version=spec.version,
    )
    return Lane(target, HopSpans(hop))
