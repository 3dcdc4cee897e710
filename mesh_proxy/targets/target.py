"""A target as this proxy lives with it: its circuit, its connections, its budget."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from random import Random

from mesh_model.endpoints import Dns, StaticEndpoints
from mesh_model.node_policies import balancing_of, outliers_of
from mesh_model.table import Target
from mesh_proxy.exchange.retry import within_budget
from mesh_proxy.routing.sticky import StickyKey
from mesh_proxy.targets.circuit import Change, Circuit, Result, State
from mesh_proxy.targets.health import HealthChecker
from mesh_proxy.targets.outlier import Endpoint, Place
from mesh_proxy.tls.ends import ClientEnd
from mesh_proxy.upstream.http2_pool import pool_for
from mesh_proxy.upstream.pool import Limits, Locate, Overflow, Pool

OVERFLOW_EVENTS_S = 1.0
Observer = Callable[["LiveTarget", Change, bytes], None]


class LiveTarget:
    """What is shared by all routes to one virtual node; it outlives a reload that does not change the node.

    ``on_change`` hears of every change of the circuit and its endpoints, with an example trace id (or nothing).
    Limits hold for this proxy alone; each endpoint brings the full limit of its listener. ``sticky`` is None unless
    callers are kept at an endpoint; ``zone`` is the proxy's. Without ``tls`` it is called without.
    """

    def __init__(
        self, spec: Target, on_change: Observer, *, random: Random, zone: str = "", tls: ClientEnd | None = None
    ) -> None:
        self.spec, self.tls = spec, tls
        balancing, outliers = balancing_of(spec.options), outliers_of(spec.options)
        self.circuit = Circuit(spec.outlier_detection, outliers, balancing, zone, random.random, self._load)
        self.sticky = StickyKey(balancing.sticky, random) if balancing.sticky is not None else None
        self.pools: dict[str, Pool] = {}
        self.active = self.active_retries = 0
        self.overflows = 0
        self._limits = Limits(spec.connection_pool)
        self._on_change = on_change
        self._untold_overflows = 0
        self._tell_overflow_at = 0.0
        self._now = 0.0
        check = spec.health_check
        if check is not None and check.port == spec.port:
            check = replace(check, port=None)  # the listener's port is where the endpoint is, wherever its proxy listens
        self.health = HealthChecker(check, random.random, tls, self._checked) if check is not None else None
        self.places: Sequence[Place] = ()
        self.replace(fixed_places(spec), 0.0)

    def __repr__(self) -> str:
        return f"<LiveTarget {self.name} {self.circuit.state} {self.active} active {list(self.pools.values())}>"

    @property
    def name(self) -> str:
        """The virtual node, and what tells it from other targets there."""
        return self.spec.name

    @property
    def may_retry(self) -> bool:
        """Whether the retry budget has room for one more."""
        return within_budget(self.active_retries, self.active)

    def replace(self, places: Sequence[Place], now: float) -> None:
        """Take over the places at which the target is found now."""
        self.places = places
        addresses = dict.fromkeys(place.address for place in places)
        for gone in [address for address in self.pools if address not in addresses]:
            self.pools.pop(gone).retire()
        for address in addresses:
            if address not in self.pools:
                self.pools[address] = pool_for(self.spec, address, self._limits, self._overflowed, self.tls)
        self._limits.endpoints = max(1, len(self.pools))
        if self.health is not None:
            self.health.schedule.follow(self.pools, now)
        self._tell(self.circuit.replace(places, now))

    def locate_by(self, locate: Locate) -> None:
        """Let ``locate`` find where the target's host is, whenever a connection is opened."""
        for pool in self.pools.values():
            pool.locate = locate

    def admit(self, now: float, tried: Collection[str], key: int | None = None) -> Endpoint | None:
        """Return the endpoint for the next attempt (``key``: what keeps the caller at one); None: fail fast."""
        self._now = now
        if now >= self.circuit.due:
            self._tell(self.circuit.advance(now))
        return self.circuit.admit(tried, key, now)

    def report(self, endpoint: Endpoint, result: Result, now: float, trace_id: bytes) -> None:
        """Tell what became of an attempt."""
        changes = self.circuit.report(endpoint, result, now)
        if changes:
            self._tell(changes, trace_id)

    def tick(self, now: float) -> None:
        """Let time pass for the circuit and the health checks."""
        self._now = now
        if self.health is not None:
            self.health.tick(now)
        if now >= self.circuit.due:
            self._tell(self.circuit.advance(now))
        if self._untold_overflows and now >= self._tell_overflow_at:
            self._tell_overflows(Overflow.PENDING, now)

    def close_idle(self) -> None:
        """A second has passed for the connections."""
        for pool in self.pools.values():
            pool.tick()

    def retire(self) -> None:
        """The mesh does not know the target any more (or knows it differently)."""
        if self.health is not None:
            self.health.close()
        for pool in self.pools.values():
            pool.retire()

    def _checked(self, address: str, healthy: bool, well: bool) -> None:
        """An endpoint was asked how it is; ``well`` is its last word, ``healthy`` what follows from all of them."""
        for endpoint in self.circuit.endpoints:
            if endpoint.address == address:
                self._tell(self.circuit.checked(endpoint, healthy=healthy, well=well, now=self._now))

    def _load(self, endpoint: Endpoint) -> int:
        return self.pools[endpoint.address].active

    def _overflowed(self, overflow: Overflow) -> None:
        self.overflows += overflow is not Overflow.CONNECTIONS
        self._untold_overflows += 1
        if self._now >= self._tell_overflow_at:
            self._tell_overflows(overflow, self._now)

    def _tell_overflows(self, overflow: Overflow, now: float) -> None:
        """Tell of the first overflow at once, of those that follow together: a burst must not become a burst of events."""
        limit = self.spec.connection_pool
        most = {
            Overflow.CONNECTIONS: limit.max_connections,
            Overflow.PENDING: limit.max_pending_requests,
            Overflow.REQUESTS: limit.max_requests,
        }[overflow]
        numbers = (("limit", most * self._limits.endpoints), ("overflows", self._untold_overflows))
        self._untold_overflows, self._tell_overflow_at = 0, now + OVERFLOW_EVENTS_S
        self._tell([Change("mesh.circuit_breaker", "overflow", overflow.value, numbers=numbers)])

    def _tell(self, changes: list[Change], trace_id: bytes = b"") -> None:
        for change in changes:
            self._on_change(self, change, trace_id)

    @property
    def state(self) -> State:
        """The state of the circuit."""
        return self.circuit.state


def fixed_places(spec: Target) -> list[Place]:
    """Return the places that the mesh file itself tells; a name that is not followed is one, resolved for every connection."""
    known = spec.discovery
    if isinstance(known, StaticEndpoints):
        return [Place(each.address, zone=each.zone) for each in known.endpoints]
    if isinstance(known, Dns) and not known.is_followed:
        return [Place(f"{known.hostname}:{spec.port}")]
    return []
