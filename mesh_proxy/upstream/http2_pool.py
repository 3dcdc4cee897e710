"""HTTP/2 connections to one endpoint: one as a rule, another when all streams of the first are taken."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mesh_model.table import Target
from mesh_proxy.exchange.retry import Failure
from mesh_proxy.upstream.http2 import Http2Upstream, UpstreamStream
from mesh_proxy.upstream.pool import Limits, Overflow, Pool

if TYPE_CHECKING:
    from mesh_proxy.exchange.exchange import Exchange
    from mesh_proxy.tls.ends import ClientEnd

IDLE_TICKS = 60
"""Seconds; a server that wants to close before says GOAWAY."""


class Http2Pool(Pool):
    """Streams of as few connections as can be."""

    __slots__ = ("_live",)

    per_connection = 100
    """How many requests one new connection is expected to serve."""

    def __init__(
        self, address: str, limits: Limits, on_overflow: Callable[[Overflow], None], tls: "ClientEnd | None" = None
    ) -> None:
        super().__init__(address, limits, on_overflow, tls)
        self._live: list[Http2Upstream] = []

    def __repr__(self) -> str:
        return f"<Http2Pool {self.address} {self._live!r} {self.waiting} waiting>"

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._live)

    @property
    def active(self) -> int:
        """How many requests are at the endpoint or wait for it."""
        return sum(len(connection.streams) for connection in self._live) + self.waiting + self._tunnels

    def serve(self, exchange: "Exchange") -> bool:
        """Give the exchange a stream, now or later; return False when too many are under way or wait already."""
        if self._limits.requests_full:
            self._on_overflow(Overflow.REQUESTS)
            return False
        connection = self._with_room()
        if connection is None:
            return super().serve(exchange)
        self._limits.requests += 1
        exchange.connected(UpstreamStream(connection))
        return True

    def stream_over(self, connection: Http2Upstream) -> None:
        """A stream is over: another may be opened, or the connection may go."""
        self._limits.requests -= 1
        if connection.leaving and not connection.streams:
            connection.retire()
        self.hand_out()

    def hand_out(self) -> None:
        """Give streams to those that wait."""
        while self._waiting and (connection := self._with_room()) is not None:
            exchange = self._next_waiting()
            self._limits.requests += 1
            exchange.connected(UpstreamStream(connection))
        self._grow()

    def gone(self, connection: Http2Upstream) -> None:
        """A connection is gone."""
        if connection in self._live:
            self._live.remove(connection)
            self._limits.connections -= 1
        self._grow()

    def tick(self) -> None:
        """A second has passed: leave the connections that have been idle for too long."""
        for connection in list(self._live):
            connection.second()
            if not connection.streams:
                connection.idle_ticks += 1
                if connection.idle_ticks > IDLE_TICKS:
                    connection.retire()

    def retire(self) -> None:
        """No new requests will come: leave the connections as their streams are over."""
        self._retired = True
        for connection in list(self._live):
            connection.retire()

    def _with_room(self) -> Http2Upstream | None:
        return next((connection for connection in self._live if connection.has_room), None)

    def _make(self, alpn: str | None = None) -> Http2Upstream:
        return Http2Upstream(self)

    async def _ready(self, upstream: Http2Upstream) -> None:
        try:
            await upstream.ready
        except BaseException:
            upstream.transport.abort()
            raise

    def _connected(self, upstream: Http2Upstream) -> None:
        self._live.append(upstream)
        self.hand_out()
        if self._retired:
            upstream.retire()

    def _unconnected(self) -> None:
        """No connection came about: all that wait have tried, for one would have served them."""
        waiting = [self._next_waiting() for _ in range(len(self._waiting))]
        for exchange in waiting:
            exchange.attempt_failed(Failure.CONNECT)


def pool_for(
    spec: Target, address: str, limits: Limits, on_overflow: Callable[[Overflow], None], tls: "ClientEnd | None"
) -> Pool:
    """Return the pool for what the endpoint speaks."""
    make = Http2Pool if spec.protocol in ("http2", "grpc") else Pool
    return make(address, limits, on_overflow, tls)
