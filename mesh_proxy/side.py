"""One direction of the proxy, ingress or egress: what all its requests share."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import TYPE_CHECKING

from core.clock import Clock
from mesh_proxy.access.guard import Guard
from mesh_proxy.downstream.http1 import Downstream
from mesh_proxy.downstream.http2 import Http2Downstream
from mesh_proxy.downstream.redirected import Egress
from mesh_proxy.downstream.tunnel import Tunnel, accepted
from mesh_proxy.exchange.deadlines import Deadlines
from mesh_proxy.http.request import RequestHead
from mesh_proxy.routing.beyond import Beyond
from mesh_proxy.routing.routes import OUTBOUND, LiveRoute, LiveRoutes
from mesh_proxy.telemetry.access_log import AccessLog
from mesh_proxy.telemetry.delivery import Telemetry

if TYPE_CHECKING:
    from mesh_proxy.exchange.exchange import Exchange

SHORTEST_WAIT_S = 0.005


@dataclass(frozen=True, slots=True)
class TrafficLimits:
    """What one direction takes from its clients; bytes and seconds, None: no limit."""

    connections: int = 10_000
    head_bytes: int = 65_536
    headers: int = 100
    body_bytes: int | None = None
    head_s: float = 10.0
    keep_alive_s: float = 300.0


@dataclass(slots=True)
class Counts:
    """What happened in one direction; every refusal by reason."""

    requests: int = 0
    attempts: int = 0
    retries: int = 0
    statuses: list[int] = field(default_factory=lambda: [0] * 6)
    flags: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    mirrored: Counter[str] = field(default_factory=Counter)


class Side:
    """The routes, the limits, the time limits of requests under way, and the counters of one direction."""

    def __init__(
        self, routes: LiveRoutes, *, telemetry: Telemetry, clock: Clock, random: Random, limits: TrafficLimits | None = None
    ) -> None:
        self.routes = routes
        self.telemetry, self.clock, self.random = telemetry, clock, random
        self.limits = limits or TrafficLimits()
        self.counts = Counts()
        self.guard: Guard | None = None
        self.beyond: Beyond | None = None
        self.access_log: AccessLog | None = None
        self.connections: set[Downstream | Http2Downstream | Tunnel] = set()
        self.draining = False
        self._requests: Deadlines[Exchange] = Deadlines()
        self._tries: Deadlines[Exchange] = Deadlines()
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf

    def __repr__(self) -> str:
        return f"<Side {self.routes.direction} {len(self.connections)} connections, {self.in_flight} in flight>"

    def protocol(self, alpn: str | None = None) -> asyncio.Protocol:
        """Return the protocol for an accepted connection; ``alpn`` is what a TLS handshake agreed on."""
        if self.routes.only_connections:
            return accepted(self)
        if self.routes.direction == OUTBOUND:
            return Egress(self)
        return Http2Downstream(self) if alpn == "h2" else Downstream(self)

    @property
    def in_flight(self) -> int:
        """How many requests are being answered."""
        return sum(connection.busy for connection in self.connections)

    def beyond_the_mesh(self, head: RequestHead) -> LiveRoute | None:
        """Return the way of a request to a host that the mesh does not know, if it may be called."""
        return self.beyond.route(head) if self.beyond is not None and not self.routes.knows(head.host) else None

    def watch_request(self, exchange: "Exchange", limit_s: float, now: float) -> None:
        """Tell the exchange when its whole time is over."""
        self._requests.add(exchange, limit_s, now)
        if limit_s and now + limit_s < self._due:
            self._arm(now)

    def watch_try(self, exchange: "Exchange", limit_s: float, now: float) -> None:
        """Tell the exchange when the time of its present attempt is over."""
        self._tries.add(exchange, limit_s, now)
        if limit_s and now + limit_s < self._due:
            self._arm(now)

    def unwatch_request(self, exchange: "Exchange", limit_s: float) -> None:
        """The request is answered."""
        self._requests.discard(exchange, limit_s)

    def unwatch_try(self, exchange: "Exchange", limit_s: float) -> None:
        """The attempt is over."""
        self._tries.discard(exchange, limit_s)

    def second(self) -> None:
        """A second has passed: let connections look at their idle time."""
        for connection in list(self.connections):
            connection.tick()

    def drain(self, *, gently: bool = False) -> None:
        """Take no further requests: connections close after the answer they are at; gently: each takes one more."""
        self.draining = True
        for connection in list(self.connections):
            connection.drain(gently=gently)

    def abort(self) -> None:
        """Cut every connection."""
        for connection in list(self.connections):
            connection.transport.abort()

    def _arm(self, now: float) -> None:
        """One timer serves all deadlines: it is set for the earliest, and rings in vain when that one was met."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = min(self._requests.next(), self._tries.next())
        if self._due != inf:
            self._timer = asyncio.get_running_loop().call_later(max(self._due - now, SHORTEST_WAIT_S), self._expire)

    def _expire(self) -> None:
        now = self.clock.monotonic()
        for exchange in self._tries.pop_expired(now):
            exchange.try_expired()
        for exchange in self._requests.pop_expired(now):
            exchange.request_expired()
        self._arm(now)
