"""A compiled route table bound to live targets: from a request's head to a route."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mesh_model.resources import APP_MESH_TIMEOUT, Timeout
from mesh_model.route_policies import door_policy_of, route_policy_of
from mesh_model.table import ANY_HOST, RouteEntry, RouteTable, Target, VirtualHost
from mesh_proxy.exchange.retry import NO_RETRIES, RetryRule, rule_of
from mesh_proxy.http.request import RequestHead
from mesh_proxy.http.wire import host_name
from mesh_proxy.routing.effects import KeptEffects, RouteEffects
from mesh_proxy.routing.matching import Asked, Check, behind, checks_of, prefix_of
from mesh_proxy.routing.mirroring import Mirror
from mesh_proxy.routing.rewrites import Rewriter, rewriter
from mesh_proxy.routing.weights import WeightedChoice
from mesh_proxy.targets.target import LiveTarget
from mesh_proxy.telemetry.signals import Signals
from mesh_proxy.telemetry.spans import Hop, HopSpans

REMEMBERED_HOSTS = 1024
INBOUND, OUTBOUND = "inbound", "outbound"


@dataclass(frozen=True, slots=True)
class Lane:
    """One target of a route, the writer of the spans on that way, and what is counted on it since the mesh file was read."""

    target: LiveTarget
    spans: HopSpans
    signals: Signals = field(default_factory=Signals)


@dataclass(frozen=True, slots=True)
class LiveRoute:
    """Where requests go whose path begins with ``prefix`` and that pass the ``checks`` (None: there are none).

    ``effects`` is what happens to them beside (None: nothing); copies of some go by ``mirror``.
    """

    entry: RouteEntry
    prefix: bytes
    lanes: WeightedChoice[Lane]
    rule: RetryRule
    timeout: Timeout
    checks: tuple[Check, ...] | None = None
    rewrite: Rewriter | None = None
    effects: RouteEffects | None = None
    mirror: Mirror | None = None


class LiveRoutes:
    """The routes of one direction. Immutable: a reload replaces it whole, requests in flight keep theirs."""

    __slots__ = ("_by_authority", "_by_ending", "_by_host", "_connections", "_for_any", "direction", "ports", "unrouted")

    def __init__(
        self,
        direction: str,
        hosts: Mapping[str, tuple[LiveRoute, ...]],
        *,
        connections: "LiveRoutes | None" = None,
        ports: Mapping[int, str] | None = None,
    ) -> None:
        self._connections = connections
        self.ports = ports or {}
        """The ports that services of the mesh listen on: which of them takes bytes there, empty where HTTP is spoken."""
        self.direction = direction
        self.unrouted = HopSpans(Hop(direction))
        self._by_host = hosts
        self._for_any = hosts.get(ANY_HOST, ())
        endings = sorted((host[1:] for host in hosts if host[0] == ANY_HOST and host != ANY_HOST), key=len, reverse=True)
        self._by_ending = tuple((ending, hosts[ANY_HOST + ending]) for ending in endings)
        self._by_authority: dict[bytes, tuple[LiveRoute, ...]] = {}

    def match(self, head: RequestHead) -> LiveRoute | None:
        """Return the first route of the host that the request is for; the authority's port and case do not matter."""
        routes = self._by_authority.get(head.host)
        if routes is None:
            routes = self._remember(head.host)
        path, asked = head.path, None
        for route in routes:
            if path.startswith(route.prefix):
                if route.checks is None:  # the plain case: nothing is asked beside the prefix, and nothing is made
                    return route
                asked = asked or Asked(head)
                if _all_hold(route.checks, asked):
                    return route
        return None

    def knows(self, authority: bytes) -> bool:
        """Whether the mesh has this host, be it with routes or without."""
        name = host_name(authority)
        return name in self._by_host or any(name.endswith(ending) for ending, _ in self._by_ending) or bool(self._for_any)

    @property
    def all(self) -> Iterator[LiveRoute]:
        """All routes of all hosts, those for connections too; one that answers for several hosts stands there for each."""
        for routes in self._by_host.values():
            yield from routes
        if self._connections is not None:
            yield from self._connections.all

    @property
    def only_connections(self) -> bool:
        """Whether nobody looks into what is said here (a listener of tcp)."""
        return self.direction == INBOUND and self._connections is not None and not any(self._by_host.values())

    def connection(self, head: RequestHead) -> LiveRoute | None:
        """Return the route for bytes that nobody looks into; ``head`` is CONNECT's, with the path ``/``."""
        return (self._connections.match(head) if self._connections is not None else None) or self.match(head)

    def _remember(self, authority: bytes) -> tuple[LiveRoute, ...]:
        if len(self._by_authority) >= REMEMBERED_HOSTS:
            self._by_authority.clear()
        name = host_name(authority)
        routes = self._by_host.get(name)
        if routes is None:
            routes = self._ending(name)
        self._by_authority[authority] = routes
        return routes

    def _ending(self, name: str) -> tuple[LiveRoute, ...]:
        return next((routes for ending, routes in self._by_ending if name.endswith(ending)), self._for_any)


def _all_hold(checks: tuple[Check, ...], asked: Asked) -> bool:
    for check in checks:  # noqa: SIM110 - all() with a generator costs twice as much
        if not check(asked):
            return False
    return True


@dataclass(frozen=True, slots=True)
class LiveTable:
    """Both directions of one proxy, and all targets they lead to; ``applications`` are those behind the ingress.

    ``ingress`` are the routes of the first listener, ``further`` those of the others by their port."""

    table: RouteTable
    ingress: LiveRoutes
    further: Mapping[int, LiveRoutes]
    egress: LiveRoutes
    targets: tuple[LiveTarget, ...]
    applications: tuple[LiveTarget, ...]
    effects: Mapping[str, RouteEffects]


def bind(
    table: RouteTable,
    *,
    old: Iterable[LiveTarget],
    old_effects: Mapping[str, RouteEffects],
    make_target: Callable[[Target], LiveTarget],
    chance: Callable[[], float],
) -> LiveTable:
    """Return the live form of ``table``; targets and effects that did not change are taken over with all their state."""
    kept = {target.spec: target for target in old}
    inside = {spec.name: kept.get(spec) or make_target(spec) for spec in (each.application for each in table.ingress) if spec}
    called = {spec.name: kept.get(spec) or make_target(spec) for spec in table.targets}
    effects = KeptEffects(old_effects)
    bound = _Binder(called | inside, frozenset(inside), chance, effects, effects.of("", door_policy_of(table.options)))
    return LiveTable(
        table=table,
        ingress=bound.routes(INBOUND, table.ingress[0].hosts if table.ingress else ()),
        further={each.port: bound.routes(INBOUND, each.hosts) for each in table.ingress[1:]},
        egress=bound.routes(OUTBOUND, table.egress),
        targets=(*called.values(), *inside.values()),
        applications=tuple(inside.values()),
        effects=effects.present,
    )


@dataclass(frozen=True, slots=True)
class _Binder:
    """Ties the routes of a table to targets.

    Towards the applications ``inside`` nothing is tried again, and what a route's tags ask for was done by the caller's
    proxy; ``at_the_door`` is what the node's own ask for.
    """

    targets: Mapping[str, LiveTarget]
    inside: frozenset[str]
    chance: Callable[[], float]
    effects: KeptEffects
    at_the_door: RouteEffects | None

    def routes(self, direction: str, hosts: Iterable[VirtualHost]) -> LiveRoutes:
        """Return the routes of one direction."""
        hosts = tuple(hosts)
        of_tcp = {host.host.lower(): tuple(self._route(direction, each) for each in host.tcp) for host in hosts if host.tcp}
        return LiveRoutes(
            direction,
            {host.host.lower(): tuple(self._route(direction, each) for each in host.routes) for host in hosts},
            connections=LiveRoutes(direction, of_tcp) if of_tcp else None,
            ports=_ports(hosts),
        )

    def _route(self, direction: str, entry: RouteEntry) -> LiveRoute:
        lanes = [lane_of(direction, entry, self.targets[choice.target]) for choice in entry.choices]
        to_application = bool(self.inside.intersection(choice.target for choice in entry.choices))
        rewrite = rewriter(entry.rewrite, entry.match.path)
        checks = list(checks_of(entry.match))
        if entry.behind is not None and (after := behind(rewrite, entry.behind)):
            checks.append(after)
        return LiveRoute(
            entry=entry,
            prefix=prefix_of(entry.match),
            lanes=WeightedChoice(lanes, [choice.weight for choice in entry.choices], self.chance),
            rule=NO_RETRIES if to_application else rule_of(entry.retry),
            timeout=entry.timeout,
            checks=tuple(checks) or None,
            rewrite=rewrite,
            effects=self.at_the_door if to_application else self._effects(direction, entry),
            mirror=self._mirror(direction, entry) if entry.mirror else None,
        )

    def _effects(self, direction: str, entry: RouteEntry) -> RouteEffects | None:
        return self.effects.of(f"{direction} {entry.virtual_service} {entry.name}", route_policy_of(entry.options))

    def _mirror(self, direction: str, entry: RouteEntry) -> Mirror:
        """Return the way of the copies: nothing is tried again, and no answer is waited for without end."""
        lanes = [lane_of(direction, entry, self.targets[entry.mirror])]
        timeout = entry.timeout if entry.timeout.per_request_s else APP_MESH_TIMEOUT
        return Mirror(LiveRoute(entry, b"", WeightedChoice(lanes, [1], self.chance), NO_RETRIES, timeout))


def _ports(hosts: Iterable[VirtualHost]) -> dict[int, str]:
    """Return who takes bytes at which port (the first who does), and where HTTP is spoken (which goes before)."""
    ports: dict[int, str] = {}
    for host in hosts:
        for each in host.ports:
            if each.protocol != "tcp":
                ports[each.port] = ""
            elif host.tcp:
                ports.setdefault(each.port, host.host)
    return ports


def lane_of(direction: str, entry: RouteEntry, target: LiveTarget) -> Lane:
    """Return one way of a route, with the writer of its spans."""
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
