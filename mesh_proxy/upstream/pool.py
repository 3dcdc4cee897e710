"""Kept connections to one endpoint, and the requests that wait for one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from mesh_model.resources import ConnectionPool
from mesh_proxy.exchange.retry import Failure
from mesh_proxy.telemetry.spans import attribute
from mesh_proxy.upstream.http1 import Upstream

if TYPE_CHECKING:
    from mesh_proxy.exchange.exchange import Exchange
    from mesh_proxy.tls.ends import ClientEnd

Connection = TypeVar("Connection", bound=asyncio.Protocol)

CONNECT_TIMEOUT_S = 5.0
IDLE_TICKS = 4
"""Seconds; shorter than servers commonly keep an idle connection (uvicorn: 5 s), so that we let go first."""


Locate = Callable[[str], Awaitable[str]]
"""Finds an address of a host, for each new connection. Raises OSError. Without one the system does."""


class PoolFull(Exception):
    """No further connection may be opened."""


class Overflow(Enum):
    """A limit that a request met; the value is the mesh event's reason."""

    CONNECTIONS = "connections_overflow"
    PENDING = "pending_overflow"
    REQUESTS = "requests_overflow"


@dataclass(slots=True)
class Limits:
    """What all pools of one target share; every endpoint brings the limits of its listener once.

    As in Envoy, a request counts as pending until it has a connection.
    """

    most: ConnectionPool
    endpoints: int = 1
    connections: int = 0
    pending: int = 0
    requests: int = 0
    """Those that have a stream of an HTTP/2 connection; one HTTP/1.1 connection is one request."""

    @property
    def connections_full(self) -> bool:
        """Whether no further connection may be opened."""
        return self.connections >= self.most.max_connections * self.endpoints

    @property
    def pending_full(self) -> bool:
        """Whether no further request may wait."""
        return self.pending >= self.most.max_pending_requests * self.endpoints

    @property
    def requests_full(self) -> bool:
        """Whether no further request may be under way."""
        return self.requests + self.pending >= self.most.max_requests * self.endpoints


class Pool:
    """HTTP/1.1 connections to one endpoint. The connection used last is used first, so that a calm pool shrinks."""

    per_connection = 1
    __slots__ = (
        "_connecting",
        "_limits",
        "_on_overflow",
        "_open",
        "_retired",
        "_tasks",
        "_tls",
        "_tunnels",
        "_waiting",
        "address",
        "idle",
        "locate",
        "span_attributes",
    )

    def __init__(
        self, address: str, limits: Limits, on_overflow: Callable[[Overflow], None], tls: "ClientEnd | None" = None
    ) -> None:
        self.address = address
        host, _, port = address.rpartition(":")
        self.span_attributes = attribute("server.address", host) + attribute("server.port", int(port))
        self.locate: Locate | None = None
        self.idle: list[Upstream] = []
        self._limits, self._on_overflow, self._tls = limits, on_overflow, tls
        self._open: set[Upstream] = set()
        self._waiting: deque[Exchange] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._connecting = self._tunnels = 0
        self._retired = False

    def __repr__(self) -> str:
        return f"<Pool {self.address} {len(self._open)} open, {len(self.idle)} idle, {len(self._waiting)} waiting>"

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    @property
    def active(self) -> int:
        """How many requests are at the endpoint or wait for it."""
        return len(self._open) - len(self.idle) + len(self._waiting) + self._tunnels

    @property
    def waiting(self) -> int:
        """How many requests wait for a connection."""
        return len(self._waiting)

    def serve(self, exchange: "Exchange") -> bool:
        """Give the exchange a connection, now or later; return False when too many wait already."""
        if self.idle:
            exchange.connected(self.idle.pop())
            return True
        if self._limits.pending_full:
            self._on_overflow(Overflow.PENDING)
            return False
        self._limits.pending += 1
        self._waiting.append(exchange)
        self._grow()
        return True

    def forget(self, exchange: "Exchange") -> None:
        """The exchange does not want a connection any more."""
        if exchange in self._waiting:
            self._waiting.remove(exchange)
            self._limits.pending -= 1

    def release(self, upstream: Upstream) -> None:
        """Take back a connection that can serve another exchange."""
        if self._waiting:
            self._next_waiting().connected(upstream)
        elif self._retired:
            upstream.close()
        else:
            self.idle.append(upstream)

    def lost(self, upstream: Upstream) -> None:
        """A connection is gone."""
        if upstream in self._open:
            self._open.remove(upstream)
            self._limits.connections -= 1
        if upstream in self.idle:
            self.idle.remove(upstream)
        self._grow()

    async def tunnel(self, make: Callable[[str | None], Connection]) -> Connection:
        """Open a connection that serves nobody else; ``tunnel_over`` follows. Raises PoolFull and OSError."""
        if self._limits.connections_full:
            self._on_overflow(Overflow.CONNECTIONS)
            raise PoolFull
        self._limits.connections += 1
        self._tunnels += 1
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return await self._dial(make)
        except BaseException:
            self.tunnel_over()
            raise

    def tunnel_over(self) -> None:
        """A tunnel's connection is gone."""
        self._limits.connections -= 1
        self._tunnels -= 1

    def tick(self) -> None:
        """A second has passed: close the connections that have been idle for too long."""
        for upstream in self.idle:
            upstream.idle_ticks += 1
        for upstream in [upstream for upstream in self.idle if upstream.idle_ticks > IDLE_TICKS]:
            self.idle.remove(upstream)
            upstream.close()

    def retire(self) -> None:
        """No new requests will come: close what is idle, and the others as they come back."""
        self._retired = True
        for upstream in self.idle:
            upstream.close()
        self.idle.clear()

    def _grow(self) -> None:
        """Open a connection if more requests wait than connections are on their way; the first is always allowed."""
        if len(self._waiting) <= self._connecting * self.per_connection:
            return
        if self._limits.connections_full and (self._open or self._connecting):
            self._on_overflow(Overflow.CONNECTIONS)
            return
        self._limits.connections += 1
        self._connecting += 1
        task = asyncio.get_running_loop().create_task(self._connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                upstream = await self._dial(self._make)
                await self._ready(upstream)
        except OSError:  # TimeoutError and failures to resolve the name are OSErrors too
            self._connecting -= 1
            self._limits.connections -= 1
            self._unconnected()
            return
        self._connecting -= 1
        self._connected(upstream)

    async def _dial(self, make: Callable[[str | None], Connection]) -> Connection:
        host, _, port = self.address.rpartition(":")
        host = host.strip("[]")
        if self.locate is not None:
            host = await self.locate(host)
        if self._tls is not None:
            return await self._tls.connect(host, int(port), make)
        _, connection = await asyncio.get_running_loop().create_connection(lambda: make(None), host, int(port))
        return connection

    def _make(self, alpn: str | None = None) -> Any:
        """Return the protocol of a new connection; ``alpn`` is what a TLS handshake agreed on."""
        return Upstream(self)

    async def _ready(self, upstream: Any) -> None:
        """Wait until a new connection can serve. Raises OSError."""

    def _connected(self, upstream: Any) -> None:
        """A new connection can serve."""
        self._open.add(upstream)
        self.release(upstream)

    def _unconnected(self) -> None:
        """No connection came about: one of those that wait has tried."""
        if self._waiting:
            self._next_waiting().attempt_failed(Failure.CONNECT)
        self._grow()

    def _next_waiting(self) -> "Exchange":
        self._limits.pending -= 1
        return self._waiting.popleft()
