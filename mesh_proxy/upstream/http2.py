"""One HTTP/2 connection to an endpoint: it serves as many exchanges at a time as the endpoint takes."""

import asyncio
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    InformationalResponseReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from mesh_proxy.exchange.retry import Failure
from mesh_proxy.http import http2_connection
from mesh_proxy.http.http2_connection import Http2Connection, Http2Stream
from mesh_proxy.http.http2_wire import Malformed, pairs_of, request_block, response_of, trailers_of
from mesh_proxy.http.wire import no_body_follows

if TYPE_CHECKING:
    from mesh_proxy.exchange.exchange import Exchange
    from mesh_proxy.upstream.http2_pool import Http2Pool

HEAD_BYTES = 65_536
MOST_HEADERS = 200
LAST_STREAM_ID = 2**31 - 1


class UpstreamStream(Http2Stream):
    """One attempt's way."""

    __slots__ = ("_method", "_upstream", "exchange", "trailers")

    def __init__(self, connection: "Http2Upstream") -> None:
        super().__init__(connection, 0)
        self._upstream = connection
        self.exchange: Exchange | None = None
        self._method = b""
        self.trailers: tuple[bytes, ...] = ()

    def serve(self, exchange: "Exchange", caller: bytes) -> None:
        """Open the stream."""
        head = exchange.outgoing
        self.exchange, self._method = exchange, head.method
        self._upstream.open(self)
        self.send_headers(
            request_block(head, caller), end=not head.has_body or head.upgrade
        )  # as a plain request, which the endpoint may refuse

    def send_body(self, piece: bytes) -> None:
        """Send a piece of the request's body."""
        if not self.sent:
            self.send(piece)

    def end_body(self, trailers: tuple[bytes, ...]) -> None:
        """Say that the request is complete."""
        if not self.sent:
            self.finish(pairs_of(trailers))

    def let_go(self) -> None:
        """Nobody wants the rest of this response."""
        self.close()

    def close(self) -> None:
        """Nobody wants the response."""
        self.exchange = None
        if self._upstream.forget(self):
            self.reset(ErrorCodes.CANCEL)

    def on_slow(self) -> None:
        """The endpoint is slower than the client."""
        if self.exchange is not None:
            self.exchange.client.hold()

    def on_ready(self) -> None:
        """The endpoint takes more again."""
        if self.exchange is not None:
            self.exchange.client.resume()

    # what the connection tells

    def head(self, event: ResponseReceived) -> None:
        """The response begins. Raises Malformed."""
        head, exchange = response_of(event.headers, MOST_HEADERS), self.exchange
        if exchange is not None:
            ended = event.stream_ended is not None
            if ended:
                exchange.grpc_status = head.grpc_status
            bodiless = ended or no_body_follows(self._method, head.status)
            exchange.response_head(head.status, head.lines, head.length, bodiless, head.retry_after)

    def end(self) -> None:
        """The response is complete."""
        exchange, self.exchange = self.exchange, None
        if self._upstream.forget(self) and not self.sent:
            self.reset(ErrorCodes.NO_ERROR)
        if exchange is not None:
            exchange.response_complete(self.trailers)

    def fail(self, failure: Failure) -> None:
        """There will be no response, or no more of it."""
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.attempt_failed(failure)


class Http2Upstream(Http2Connection[UpstreamStream]):
    """Opens streams until the endpoint says GOAWAY. ``ready`` is done once the endpoint has spoken HTTP/2."""

    HANDLERS = {  # noqa: RUF012
        **http2_connection.HANDLERS,
        ResponseReceived: lambda connection, event: connection.on_response(event),
        InformationalResponseReceived: lambda connection, event: connection.on_interim(event),
    }

    def __init__(self, pool: "Http2Pool") -> None:
        super().__init__(client_side=True, most_streams=0, head_bytes=HEAD_BYTES)
        self._pool = pool
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.leaving = False
        self.idle_ticks = 0

    def __repr__(self) -> str:
        return f"<Http2Upstream {len(self.streams)} streams{', leaving' if self.leaving else ''}>"

    @property
    def has_room(self) -> bool:
        """Whether another stream may be opened."""
        return not self.leaving and len(self.streams) < self.h2.remote_settings.max_concurrent_streams

    def open(self, stream: UpstreamStream) -> None:
        """Give a stream its id."""
        stream.id = self.h2.get_next_available_stream_id()
        self.streams[stream.id] = stream
        self.idle_ticks = 0
        if stream.id >= LAST_STREAM_ID - 2:
            self.leaving = True

    def forget(self, stream: UpstreamStream) -> bool:
        """A stream is over; return False when it was already."""
        if self.streams.pop(stream.id, None) is None:
            return False
        self._pool.stream_over(self)
        return True

    def retire(self) -> None:
        """Open no further streams; close when those there are are over."""
        self.leaving = True
        if not self.streams:
            self.write()
            self.transport.close()

    def broken(self, reason: str) -> None:
        """The endpoint does not speak HTTP/2 as it should: nothing on this connection is trusted."""
        self.leaving = True
        streams = list(self.streams.values())
        for stream in streams:
            self.forget(stream)
            stream.fail(Failure.PROTOCOL)
        self._settle(OSError("not HTTP/2"))

    def connection_lost(self, exc: Exception | None) -> None:
        """All that were served fail."""
        self.leaving = True
        self._pool.gone(self)
        streams = list(self.streams.values())
        for stream in streams:
            self.forget(stream)
            stream.fail(Failure.RESET)
        self._settle(ConnectionResetError("closed before it spoke HTTP/2"))

    # the library's events

    def on_settings(self, event: RemoteSettingsChanged) -> None:
        """The endpoint says what it takes."""
        super().on_settings(event)
        self._settle(None)
        self._pool.hand_out()

    def on_response(self, event: ResponseReceived) -> None:
        """A response begins."""
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        try:
            stream.head(event)
        except Malformed:
            self._refuse(stream)

    def on_interim(self, event: InformationalResponseReceived) -> None:
        """The endpoint wants the body."""
        stream = self.streams.get(event.stream_id)
        if stream is not None and stream.exchange is not None and (b":status", b"100") in event.headers:
            stream.exchange.invited()

    def take_data(self, stream: UpstreamStream, piece: bytes) -> None:
        """Hand a piece of a body to its exchange."""
        if stream.exchange is not None:
            stream.exchange.response_body(piece)

    def on_trailers(self, event: TrailersReceived) -> None:
        """Keep the trailers for the end, which follows."""
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        try:
            stream.trailers, status = trailers_of(event.headers, MOST_HEADERS)
        except Malformed:
            self._refuse(stream)
            return
        if stream.exchange is not None:
            stream.exchange.grpc_status = status

    def on_ended(self, event: StreamEnded) -> None:
        """A response is complete."""
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.end()

    def on_reset(self, event: StreamReset) -> None:
        """The endpoint gives a stream up; one that it refused was not worked on."""
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            self.forget(stream)
            stream.fail(Failure.REFUSED if event.error_code == ErrorCodes.REFUSED_STREAM else Failure.REMOTE_RESET)

    def on_goaway(self, event: ConnectionTerminated) -> None:
        """The endpoint takes no further streams, and says which of ours it has not looked at."""
        self.leaving = True
        last = event.last_stream_id or 0
        for stream in [stream for stream in self.streams.values() if stream.id > last]:
            self.forget(stream)
            stream.fail(Failure.REFUSED)
        if not self.streams:
            self.transport.close()

    def _refuse(self, stream: UpstreamStream) -> None:
        self.forget(stream)
        stream.reset(ErrorCodes.PROTOCOL_ERROR)
        stream.fail(Failure.PROTOCOL)

    def _settle(self, error: OSError | None) -> None:
        if not self.ready.done():
            if error is None:
                self.ready.set_result(None)
            else:
                self.ready.set_exception(error)
                self.ready.exception()  # whoever waits hears of it; if nobody does, it is no fault
