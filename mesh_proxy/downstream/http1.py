"""One connection from a client: its requests in the order they come, their answers in the same order."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import httptools

from mesh_proxy.downstream.answering import Answering
from mesh_proxy.downstream.head_reader import HEAD_TOO_LARGE, HeadReader, Refused
from mesh_proxy.downstream.http2 import Http2Downstream
from mesh_proxy.downstream.tunnel import End, Tunnel
from mesh_proxy.exchange import rescue
from mesh_proxy.exchange.exchange import Exchange
from mesh_proxy.http.request import NO_BODY, RequestHead
from mesh_proxy.http.wire import (
    own_reply,
)
from mesh_proxy.routing.routes import INBOUND
from mesh_proxy.telemetry.spans import PeerAttributes

if TYPE_CHECKING:
    from mesh_proxy.side import Side
    from mesh_proxy.tls.peer import Peer

log = logging.getLogger(__name__)

LINGER_TICKS = 2
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Downstream(Answering):
    """Parses requests strictly and lets one exchange at a time run; further ones wait, and reading stops meanwhile."""

    protocol = "HTTP/1.1"

    __slots__ = (
        "_advancing",
        "_body_size",
        "_connecting",
        "_held",
        "_lingering",
        "_parser",
        "_quiet_ticks",
        "_reader",
        "_receiving",
        "_refused",
        "_side",
        "_switching",
        "_unparsed",
        "_waiting",
        "on_header",
        "on_url",
        "peer",
        "span_attributes",
    )

    span_attributes: Callable[[bytes], bytes]

    def __init__(self, side: "Side", *, port: int = 0) -> None:
        super().__init__()
        self._side = side
        self._reader = reader = HeadReader(side.limits.headers, port)
        self.on_url, self.on_header = reader.on_url, reader.on_header  # httptools calls them without a detour
        self._parser = httptools.HttpRequestParser(self)
        self._receiving: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._refused: Refused | None = None
        self.peer: Peer | None = None
        self._connecting: RequestHead | None = None
        self._held = self._advancing = self._switching = False
        self._unparsed = self._body_size = self._quiet_ticks = self._lingering = 0

    def __repr__(self) -> str:
        return f"<Downstream {self.current!r} and {len(self._waiting)} waiting>"

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self.current is not None

    @property
    def address(self) -> str:
        """Where the client is, without its port."""
        peer = self.transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    # what an exchange asks of its client

    def done(self) -> None:
        """The current exchange is finished: go on with the next request, or close."""
        self.flush()
        self.current = None
        if not self._advancing:
            self._advance()

    def hold(self) -> None:
        """Stop reading."""
        if not self._held and not self.transport.is_closing():
            self._held = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again, unless requests are waiting already."""
        if self._held and not self._waiting and not self.transport.is_closing():
            self._held = False
            self.transport.resume_reading()

    def abort(self) -> None:
        """Cut the connection: the client must see that its answer is not whole."""
        self.current = None
        self._out.clear()
        self._waiting.clear()
        self.transport.abort()

    # what the side tells

    def tick(self) -> None:
        """A second has passed."""
        self._quiet_ticks += 1
        current, limits = self.current, self._side.limits
        if self._lingering:
            self._lingering += 1
            if self._lingering > LINGER_TICKS:
                self.transport.abort()
        elif current is not None:
            current.quiet_ticks += 1
            if current.idle_s and current.quiet_ticks > current.idle_s:
                current.fell_silent()
        elif self._quiet_ticks > (limits.head_s if self._unparsed or self._reader.begun else limits.keep_alive_s):
            self._side.counts.refused["idle"] += 1
            self.transport.close()

    def drain(self, *, gently: bool = False) -> None:
        """Close now, or when the requests that were taken are answered; gently: with the answer to the next one.

        A client that has just sent a request on an idle connection would find it closed, and count that as a failure.
        """
        self.closing = True
        if self.current is None and not gently:
            self.transport.close()

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the side's connections, unless there are too many."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses
        if len(self._side.connections) >= self._side.limits.connections:
            self._side.counts.refused["connections"] += 1
            self.transport.abort()
            return
        self._side.connections.add(self)
        self.peer = transport.get_extra_info("peer")
        self.span_attributes = PeerAttributes(transport.get_extra_info("peername")).of

    def data_received(self, data: bytes) -> None:
        """Parse."""
        if self._lingering or self._refused is not None:
            return
        if self._switching:
            self._take_websocket(data)
            return
        if not self._unparsed:  # a head that comes drop by drop does not gain time by it
            self._quiet_ticks = 0
        self._unparsed += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            if cause is None and self._parser.get_method() == b"PRI":  # after that the parser stops at HTTP/2's preface only
                self._become_http2(data)
                return
            if cause is not None and not isinstance(cause, Refused):
                log.error("a request met a fault of the proxy", exc_info=cause)
            self._malformed(cause if isinstance(cause, Refused) else Refused(400, "Bad Request"))
            return
        if self._unparsed > self._side.limits.head_bytes:
            self._malformed(Refused(431, HEAD_TOO_LARGE))

    def eof_received(self) -> bool:
        """The client has gone, as far as HTTP/1.1 is concerned."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the current exchange end without its client."""
        self._side.connections.discard(self)
        self._waiting.clear()
        self.closing = True
        if self.current is not None:
            self.current.client_gone()

    def pause_writing(self) -> None:
        """The client reads more slowly than the endpoint writes."""
        self.congested = True
        if self.current is not None:
            self.current.hold_response()

    def resume_writing(self) -> None:
        """The client reads again."""
        self.congested = False
        if self.current is not None:
            self.current.resume_response()

    # httptools' callbacks

    def on_headers_complete(self) -> None:
        """A request is known; one with a body starts before the body is there."""
        most = self._side.limits.head_bytes
        if self._unparsed > most and self._reader.size > most:  # one read may bring more than a head
            raise Refused(431, HEAD_TOO_LARGE)
        head = self._reader.head(self._parser)
        if head.upgrade:
            if head.method == b"CONNECT":
                self._connecting = self._judged(head)
                return
            self._switching = True
        exchange = self._receiving = Exchange(self, self._side, head)
        self._unparsed = self._body_size = 0
        if exchange.body is not NO_BODY:
            self._take(exchange)

    def on_body(self, piece: bytes) -> None:
        """Hand a piece of the body to its exchange."""
        self._unparsed = 0
        most = self._side.limits.body_bytes
        if most is not None:
            self._body_size += len(piece)
            if self._body_size > most:
                raise Refused(413, rescue.TOO_LARGE.text)
        if self._receiving is not None and not self._receiving.finished:
            self._receiving.request_body(piece)

    def on_message_complete(self) -> None:
        """The request is complete."""
        exchange, self._receiving = self._receiving, None
        self._unparsed = 0
        trailers = self._reader.trailers
        self._reader.begin()
        if exchange is None or exchange.finished:
            return
        if exchange.body is NO_BODY:
            self._take(exchange)
        elif not exchange.head.upgrade:
            exchange.request_complete(trailers)

    # the steps

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:  # an offer that is not taken up; the connection goes on as it was
                data = data[upgrade.args[0] :]
                if self._switching:
                    self._take_websocket(data)
                    return
                if self._connecting is not None:
                    self._become_tunnel(self._connecting, data)
                    return
                self._parser = httptools.HttpRequestParser(self)

    def _become_http2(self, data: bytes) -> None:
        """The client has opened the connection with HTTP/2's preface; what came of it before ``data`` is known."""
        before = PREFACE[: self._unparsed - len(data)]
        self._side.connections.discard(self)
        http2 = Http2Downstream(self._side, port=self._reader.port)
        self.transport.set_protocol(http2)
        http2.connection_made(self.transport)
        http2.data_received(before + data)

    def _take_websocket(self, data: bytes) -> None:
        """Pass bytes on once the endpoint has switched: before, it might take them for a request of their own."""
        current = self.current
        if not self._switched:
            self._early += data
            if len(self._early) > self._side.limits.head_bytes:
                self._side.counts.refused["malformed"] += 1
                self.transport.abort()
        elif current is not None and data:
            current.request_body(data)

    def _judged(self, head: RequestHead) -> RequestHead:
        if self._side.routes.direction == INBOUND:
            raise Refused(501, "Not Implemented")
        if self.current is not None or self._waiting:
            raise Refused(400, "CONNECT before the answer to another request")
        return head

    def _become_tunnel(self, head: RequestHead, early: bytes) -> None:
        side, transport = self._side, self.transport
        side.connections.discard(self)
        tunnel = Tunnel(side, head, answers=True)
        client = End(tunnel)
        transport.set_protocol(client)
        client.connection_made(transport)
        tunnel.begin(client, early)

    def _take(self, exchange: Exchange) -> None:
        if self.current is None and not self._waiting:
            self._start(exchange)
        else:
            self._waiting.append(exchange)
            self.hold()

    def _start(self, exchange: Exchange) -> None:
        self.current = exchange
        if exchange.head.last:
            self.closing = True
        exchange.start()

    def _advance(self) -> None:
        self._advancing = True
        while self._waiting and self.current is None:
            self._start(self._waiting.popleft())
        self._advancing = False
        if self.current is not None:
            return
        if self.closing:
            self._close_gently()
        elif self._refused is not None:
            self._say_refused(self._refused)
        else:
            self.resume()

    def _malformed(self, refused: Refused) -> None:
        """Nothing after this can be trusted; what was taken before is still answered."""
        self._refused = refused
        self._side.counts.refused["malformed"] += 1
        receiving, self._receiving = self._receiving, None
        if receiving is not None and receiving is self.current:
            receiving.refuse(rescue.TOO_LARGE if refused.status == 413 else rescue.MALFORMED)
        elif receiving is not None and receiving in self._waiting:
            self._waiting.remove(receiving)
        elif self.current is None:
            self._say_refused(refused)

    def _say_refused(self, refused: Refused) -> None:
        if not self._lingering:
            if not self.transport.is_closing():
                self.transport.write(own_reply(refused.status, refused.text, head_only=False, close=True))
            self._close_gently()

    def _close_gently(self) -> None:
        """Say that nothing more comes, and read what is still coming: closing at once might take the answer from the client."""
        if self._lingering or self.transport.is_closing():
            return
        if self._receiving is None and self._refused is None:
            self.transport.close()
            return
        self._lingering = 1
        self.resume()
        if self.transport.can_write_eof():
            self.transport.write_eof()
