"""One HTTP/2 connection from a client: as many exchanges at a time as it may have streams."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, RequestReceived, StreamEnded, StreamReset, TrailersReceived

from mesh_proxy.exchange import rescue
from mesh_proxy.exchange.exchange import Exchange
from mesh_proxy.http import grpc_status, http2_connection
from mesh_proxy.http.http2_connection import Http2Connection, Http2Stream
from mesh_proxy.http.http2_wire import Malformed, Refused, pairs_of, request_of, response_block, trailers_of
from mesh_proxy.http.request import NO_BODY
from mesh_proxy.telemetry.spans import PeerAttributes

if TYPE_CHECKING:
    import asyncio

    from mesh_proxy.exchange.rescue import Rescue
    from mesh_proxy.side import Side
    from mesh_proxy.tls.peer import Peer

MOST_STREAMS = 128
BORNE_RESETS = 500
"""A client that gives up more streams than this, and more than half of all, is not borne (CVE-2023-44487)."""


class ServedStream(Http2Stream):
    """One request's stream: the client of its exchange."""

    protocol = "HTTP/2"

    __slots__ = ("_method", "_peer", "body_size", "exchange", "quiet_ticks", "request_ended", "trailers")

    def __init__(self, peer: "Http2Downstream", stream_id: int, method: bytes) -> None:
        super().__init__(peer, stream_id)
        self._peer, self._method = peer, method
        self.exchange: Exchange | None = None
        self.body_size = self.quiet_ticks = 0
        self.request_ended = False
        self.trailers: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"<ServedStream {self.id} {self.exchange!r}>"

    @property
    def peer(self) -> "Peer | None":
        """Who the client is by its certificate."""
        return self._peer.peer

    # what an exchange asks of its client

    def answer(self, status: int, lines: list[bytes], length: bytes | None, bodiless: bool) -> None:
        """Send the head of the answer."""
        self.send_headers(response_block(self._method, status, lines, length, bodiless=bodiless), end=bodiless)

    def invite(self) -> None:
        """Tell the client to send the body that it holds back."""
        self.send_headers([(b":status", b"100")], end=False)

    def answer_body(self, piece: bytes) -> None:
        """Send a piece of the answer's body."""
        self.send(piece)

    def answer_end(self, trailers: tuple[bytes, ...]) -> None:
        """End the answer."""
        if not self.sent:
            self.finish(pairs_of(trailers))

    def reply(self, why: "Rescue") -> None:
        """Answer in the endpoint's place; a gRPC client is told in gRPC."""
        exchange, text = self.exchange, why.text.encode()
        if exchange is not None and exchange.head.grpc:
            exchange.grpc_status = code = grpc_status.from_http(why.status)
            told = [(b"grpc-status", b"%d" % code), (b"grpc-message", grpc_status.percent_encoded(why.text))]
            told += pairs_of(why.lines)
            self.send_headers([(b":status", b"200"), (b"content-type", b"application/grpc"), *told], end=True)
            return
        block = [(b":status", b"%d" % why.status), (b"content-type", b"text/plain"), (b"content-length", b"%d" % len(text))]
        block += pairs_of(why.lines)
        bodiless = not text or self._method == b"HEAD"
        self.send_headers(block, end=bodiless)
        if not bodiless:
            self.send(text)
            self.finish([])

    def flush(self) -> None:
        """Everything is written at the end of the event loop's turn."""

    def done(self) -> None:
        """The exchange is over; the stream lives until all is sent."""
        self.exchange = None
        if self.sent:
            self._leave()

    def abort(self) -> None:
        """Reset the stream: the client must see that its answer is not whole."""
        self.exchange = None
        if self._peer.streams.pop(self.id, None) is not None:
            self.reset(ErrorCodes.INTERNAL_ERROR)
        self._peer.left()

    @property
    def address(self) -> str:
        """Where the client is, without its port."""
        peer = self._peer.transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    def span_attributes(self, host: bytes) -> bytes:
        """Return the attributes of SERVER spans that come from the connection and the host."""
        return self._peer.span_attributes(host)

    # what the stream tells

    def on_slow(self) -> None:
        """The client reads more slowly than the endpoint writes."""
        if self.exchange is not None:
            self.exchange.hold_response()

    def on_ready(self) -> None:
        """The client reads again."""
        if self.exchange is not None:
            self.exchange.resume_response()

    def on_sent(self) -> None:
        """The answer is sent."""
        if self.exchange is None:
            self._leave()

    def _leave(self) -> None:
        if self._peer.streams.pop(self.id, None) is not None and not self.request_ended:
            self.reset(ErrorCodes.NO_ERROR)  # the rest of the request is not wanted
        self._peer.left()


class Http2Downstream(Http2Connection[ServedStream]):
    """Takes requests, each on a stream of its own."""

    span_attributes: Callable[[bytes], bytes]
    HANDLERS = {**http2_connection.HANDLERS, RequestReceived: lambda connection, event: connection.on_request(event)}  # noqa: RUF012

    def __init__(self, side: "Side", *, port: int = 0) -> None:
        super().__init__(client_side=False, most_streams=MOST_STREAMS, head_bytes=side.limits.head_bytes)
        self._side, self._port = side, port
        self._quiet_ticks = self._opened = self._given_up = 0
        self._closing = False
        self.peer: Peer | None = None

    def __repr__(self) -> str:
        return f"<Http2Downstream {list(self.streams.values())}>"

    @property
    def busy(self) -> int:
        """How many requests are being answered."""
        return sum(stream.exchange is not None for stream in self.streams.values())

    def left(self) -> None:
        """A stream is over."""
        if self._closing and not self.streams:
            self.write()
            self.transport.close()

    def broken(self, reason: str) -> None:
        """Count why the client is left."""
        self._side.counts.refused[reason] += 1

    # what the side tells

    def tick(self) -> None:
        """A second has passed."""
        self.second()
        self._quiet_ticks += 1
        limits = self._side.limits
        for stream in list(self.streams.values()):
            exchange = stream.exchange
            if exchange is not None:
                exchange.quiet_ticks += 1
                if exchange.idle_s and exchange.quiet_ticks > exchange.idle_s:
                    exchange.fell_silent()
            else:
                stream.quiet_ticks += 1
                if stream.quiet_ticks > limits.keep_alive_s:  # an answer that nobody fetches
                    stream.reset(ErrorCodes.CANCEL)
        if not self.streams and self._quiet_ticks > (limits.keep_alive_s if self.settled else limits.head_s):
            self.close("idle", ErrorCodes.NO_ERROR)

    def drain(self, *, gently: bool = False) -> None:
        """Take no further streams; close when those there are are over. The client learns which it may send again."""
        if not self._closing:
            self._closing = True
            self.say_goaway(self.h2.highest_inbound_stream_id)
            self.left()

    # asyncio's callbacks

    def connection_made(self, transport: "asyncio.BaseTransport") -> None:
        """Join the side's connections, unless there are too many."""
        if len(self._side.connections) >= self._side.limits.connections:
            self._side.counts.refused["connections"] += 1
            self.transport = transport  # type: ignore[assignment]
            self.transport.abort()
            return
        self._side.connections.add(self)
        self.peer = transport.get_extra_info("peer")
        self.span_attributes = PeerAttributes(transport.get_extra_info("peername")).of
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let all exchanges end without their client."""
        self._side.connections.discard(self)
        streams = list(self.streams.values())
        self.streams.clear()
        for stream in streams:
            if stream.exchange is not None:
                stream.exchange.client_gone()

    # the library's events

    def on_request(self, event: RequestReceived) -> None:
        """A request begins."""
        self._quiet_ticks = 0
        self._opened += 1
        side, ended = self._side, event.stream_ended is not None
        try:
            head = request_of(event.headers, ended=ended, most_headers=side.limits.headers)
            if self._port:
                head = head._replace(port=self._port)
        except Malformed as why:
            side.counts.refused["malformed"] += 1
            if isinstance(why, Refused):
                self.h2.send_headers(event.stream_id, [(b":status", b"%d" % why.status)], end_stream=True)
            if not ended or not isinstance(why, Refused):
                self.h2.reset_stream(event.stream_id, ErrorCodes.PROTOCOL_ERROR)
            return
        if self._closing:
            self.h2.reset_stream(event.stream_id, ErrorCodes.REFUSED_STREAM)
            return
        stream = self.streams[event.stream_id] = ServedStream(self, event.stream_id, head.method)
        stream.request_ended = ended
        exchange = stream.exchange = Exchange(stream, side, head)
        exchange.start()

    def take_data(self, stream: ServedStream, piece: bytes) -> None:
        """Hand a piece of a body to its exchange."""
        exchange, most = stream.exchange, self._side.limits.body_bytes
        if exchange is None or exchange.finished:
            return
        stream.body_size += len(piece)
        if most is not None and stream.body_size > most:
            exchange.refuse(rescue.TOO_LARGE)
        else:
            exchange.request_body(piece)

    def on_trailers(self, event: TrailersReceived) -> None:
        """Keep the trailers for the end, which follows."""
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        try:
            stream.trailers, _ = trailers_of(event.headers, self._side.limits.headers)
        except Malformed:
            self._side.counts.refused["malformed"] += 1
            if stream.exchange is not None:
                stream.exchange.refuse(rescue.MALFORMED)

    def on_ended(self, event: StreamEnded) -> None:
        """A request is complete."""
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        stream.request_ended = True
        exchange = stream.exchange
        if exchange is not None and exchange.body is not NO_BODY and not exchange.finished:
            exchange.request_complete(stream.trailers)

    def on_reset(self, event: StreamReset) -> None:
        """The client has given a request up."""
        stream = self.streams.pop(event.stream_id, None)
        if stream is None:
            return
        if stream.exchange is not None:
            self._given_up += 1
            stream.exchange.client_gone()
        self.left()
        if self._given_up > BORNE_RESETS and self._given_up * 2 > self._opened:
            self.close("resets", ErrorCodes.ENHANCE_YOUR_CALM)

    def on_goaway(self, event: ConnectionTerminated) -> None:
        """The client opens no further streams."""
        self._closing = True
        self.left()

    def on_data(self, event: DataReceived) -> None:
        """A piece of a body."""
        self._quiet_ticks = 0
        super().on_data(event)
