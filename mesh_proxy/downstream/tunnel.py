"""Connections whose bytes pass as they are: what CONNECT asks for, and listeners that speak tcp."""

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from core.backoff import backoff_s
from mesh_proxy.exchange import rescue
from mesh_proxy.exchange.rescue import Rescue
from mesh_proxy.exchange.retry import Failure
from mesh_proxy.http.grpc_status import NO_STATUS
from mesh_proxy.http.request import RequestHead
from mesh_proxy.http.wire import own_reply
from mesh_proxy.targets.circuit import Result
from mesh_proxy.telemetry.spans import PeerAttributes
from mesh_proxy.telemetry.trace import Trace
from mesh_proxy.upstream.pool import Pool, PoolFull

if TYPE_CHECKING:
    from mesh_proxy.routing.routes import Lane, LiveRoute
    from mesh_proxy.side import Side

ESTABLISHED = b"HTTP/1.1 200 Connection Established\r\n\r\n"
log = logging.getLogger(__name__)


class End(asyncio.Protocol):
    """One of the two connections of a tunnel; each hands to the other what it gets, and its end."""

    __slots__ = ("ended", "other", "transport", "tunnel")

    transport: asyncio.Transport

    def __init__(self, tunnel: "Tunnel") -> None:
        self.tunnel = tunnel
        self.other: End | None = None
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        self.tunnel.quiet_ticks = 0
        if self.other is None:
            self.tunnel.early += data
        elif not self.other.transport.is_closing():
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """This direction is finished; the other may go on."""
        self.ended = True
        other = self.other
        if other is None:
            return True
        if other.ended or not other.transport.can_write_eof():
            other.transport.close()
            return False
        other.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The tunnel is over."""
        self.tunnel.over(self, exc)

    def pause_writing(self) -> None:
        """This side reads more slowly than the other writes."""
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """This side reads again."""
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.resume_reading()


class Accepted(End):
    """The client's end of a connection that is a tunnel from its first byte."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look for the way at once."""
        super().connection_made(transport)
        self.tunnel.begin(self)


class Tunnel:
    """A client's connection and one to an endpoint. It counts as a request, whose status is that of CONNECT's answer."""

    def __init__(self, side: "Side", head: RequestHead, *, answers: bool) -> None:
        self._side, self._head, self._answers = side, head, answers
        self._client: End | None = None
        self._lane: Lane | None = None
        self._pool: Pool | None = None
        self._trace: Trace | None = None
        self._task: asyncio.Task[None] | None = None
        self._started = self._attempt_at = self._idle_s = 0.0
        self._attempts = self._status = self.quiet_ticks = 0
        self._flag = ""
        self.early = b""
        self._open = False

    def __repr__(self) -> str:
        return f"<Tunnel {self._head.host.decode('latin-1')} {'open' if self._open else 'opening'}>"

    # what the side asks

    @property
    def busy(self) -> bool:
        """A tunnel is a request under way."""
        return True

    @property
    def transport(self) -> asyncio.Transport:
        """The client's."""
        assert self._client is not None
        return self._client.transport

    def tick(self) -> None:
        """A second has passed."""
        self.quiet_ticks += 1
        if self._open and self._idle_s and self.quiet_ticks > self._idle_s:
            self._flag = rescue.WENT_SILENT.flag
            self.transport.abort()

    def drain(self, *, gently: bool = False) -> None:
        """A tunnel goes on until one of its ends closes it."""

    # its life

    def begin(self, client: End, early: bytes = b"") -> None:
        """Find the way for a client's connection; ``early`` is what it has said already."""
        side, self._client, self.early = self._side, client, early
        if len(side.connections) >= side.limits.connections:
            side.counts.refused["connections"] += 1
            client.transport.abort()
            return
        side.connections.add(self)
        side.counts.requests += 1
        self._started = side.clock.monotonic()
        if side.telemetry.on and self._answers:
            self._trace = Trace(side, self._head)
        client.transport.pause_reading()
        self._task = asyncio.get_running_loop().create_task(self._find_way())

    def over(self, end: End, exc: Exception | None) -> None:
        """One of the ends is gone: so is the other, once it has been given what was written to it."""
        if end.other is not None and not end.other.transport.is_closing():
            if exc is None and not self._flag:
                end.other.transport.close()
            else:
                end.other.transport.abort()
        if self._client is None or self not in self._side.connections:
            return
        if self._task is not None:
            self._task.cancel()
        self._finish()

    async def _find_way(self) -> None:
        side, head = self._side, self._head
        peer = self.transport.get_extra_info("peer")
        if side.guard is not None and (why := side.guard.judge(peer, head, side.clock.now())) is not None:
            self._refuse(why)
            return
        route = side.routes.connection(head) or side.beyond_the_mesh(head)
        found = await self._by_route(route) if route is not None else rescue.NO_ROUTE
        if isinstance(found, Rescue):
            self._refuse(found)
        else:
            self._join(found)

    async def _by_route(self, route: "LiveRoute") -> "End | Rescue":
        """Connect to an endpoint of the route; other endpoints are tried as its retry policy says."""
        side, rule = self._side, route.rule
        lane = self._lane = route.lanes.pick()
        target, self._idle_s = lane.target, route.timeout.idle_s
        target.active += 1
        tried: tuple[str, ...] = ()
        most = rule.limit if Failure.CONNECT in rule.failures else 0
        while True:
            self._attempt_at = now = side.clock.monotonic()
            endpoint = target.admit(now, tried)
            if endpoint is None:
                return rescue.NO_HEALTHY_UPSTREAM
            self._attempts += 1
            side.counts.attempts += 1
            if self._trace is not None:
                self._trace.begin_attempt()
            pool = self._pool = target.pools[endpoint.address]
            try:
                end = await pool.tunnel(lambda _: End(self))
            except PoolFull:
                target.report(endpoint, Result.ABANDONED, now, b"")
                self._pool = None
                return rescue.OVERFLOW
            except OSError:
                target.report(endpoint, Result.FAILED, side.clock.monotonic(), b"")
            else:
                target.report(endpoint, Result.SUCCEEDED, side.clock.monotonic(), b"")
                return end
            why = rescue.UNANSWERED[Failure.CONNECT]
            if self._attempts > most:
                return why
            self._end_attempt(0, why.flag, why.error)
            tried = (*tried, endpoint.address)
            side.counts.retries += 1
            await side.clock.sleep(backoff_s(self._attempts, side.random.random()))

    def _join(self, end: End) -> None:
        client = self._client
        assert client is not None
        client.other, end.other, self._open, self._status = end, client, True, 200
        if self._answers:
            client.transport.write(ESTABLISHED)
        early, self.early = self.early, b""
        if early:
            end.transport.write(early)
        if client.ended:
            end.transport.write_eof()
        client.transport.resume_reading()

    def _refuse(self, why: Rescue) -> None:
        self._flag, self._status = why.flag, why.status
        transport = self.transport
        if self._answers:
            transport.write(own_reply(why.status, why.text, head_only=False, close=True))
        self._finish(why.error)
        transport.close()

    def _finish(self, error: str = "") -> None:
        side = self._side
        side.connections.discard(self)
        self._end_attempt(self._status if self._open else 0, self._flag, error)
        if self._lane is not None:
            self._lane.target.active -= 1
        if not self._open and not self._flag:
            self._flag = rescue.CLIENT_GONE.flag
        side.counts.statuses[self._status // 100] += 1
        if self._flag:
            side.counts.flags[self._flag] += 1
        if self._trace is not None:
            spans = self._lane.spans if self._lane is not None else side.routes.unrouted
            told = PeerAttributes(self.transport.get_extra_info("peername")).of(self._head.host)
            times = (self._started, side.clock.monotonic())
            self._trace.end(spans, times, self._status, self._flag, told, NO_STATUS)

    def _end_attempt(self, status: int, flag: str, error: str) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        if self._open:
            pool.tunnel_over()
        if self._trace is not None and self._lane is not None:
            times = (self._attempt_at, self._side.clock.monotonic())
            at = pool.span_attributes
            self._trace.end_attempt(self._lane.spans, times, status, flag, error, self._attempts - 1, at, NO_STATUS)


def accepted(side: "Side") -> Accepted:
    """Return the protocol of a connection whose bytes pass as they are."""
    return Accepted(Tunnel(side, RequestHead(b"CONNECT", b"/", b"", []), answers=False))
