"""One kept connection to an endpoint; it serves one exchange at a time."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import httptools

from mesh_proxy.exchange.retry import Failure
from mesh_proxy.http.request import upstream_head
from mesh_proxy.http.wire import (
    CONNECTION,
    ENCODING,
    LENGTH,
    NOT_AS_TRAILER,
    RESPONSE_ROLES,
    RETRY_AFTER,
    chunk,
    last_chunk,
    without_named,
)

if TYPE_CHECKING:
    from mesh_proxy.exchange.exchange import Exchange
    from mesh_proxy.upstream.pool import Pool

HEAD_BYTES = 65_536
DISCARD_BYTES = 65_536
MOST_TRAILERS = 100

log = logging.getLogger(__name__)


class Unacceptable(Exception):
    """The endpoint's bytes are not a response this proxy passes on."""


class _Bytes:
    """Takes a parser's place when there is nothing more to parse."""

    __slots__ = ("feed_data",)

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self.feed_data = take


class Upstream(asyncio.Protocol):
    """Parses responses and hands them to the exchange it serves.

    Whatever arrives while no exchange is served, or after a response, closes the connection: it might be taken
    for the answer to somebody else's request.
    """

    __slots__ = (
        "_body_until_eof",
        "_chunks",
        "_complete",
        "_connection_header",
        "_discarding",
        "_exchange",
        "_head_only",
        "_headed",
        "_held",
        "_interim",
        "_is_chunked",
        "_length",
        "_lines",
        "_parser",
        "_pool",
        "_retry_after",
        "_reusable",
        "_surplus",
        "_switched",
        "_trailers",
        "_unparsed",
        "idle_ticks",
        "transport",
    )

    transport: asyncio.Transport
    _lines: list[bytes]
    _trailers: tuple[bytes, ...]
    _length: bytes | None
    _connection_header: bytes
    _retry_after: bytes
    _headed: bool
    _complete: bool
    _surplus: bool
    _switched: bool
    _interim: bool
    _is_chunked: bool
    _reusable: bool
    _body_until_eof: bool
    _unparsed: int

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._exchange: Exchange | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._discarding = 0
        self._head_only = self._held = self._chunks = False
        self.idle_ticks = 0
        self._reset()

    def serve(self, exchange: "Exchange", caller: bytes) -> None:
        """Send a request's head; the exchange will hear of the response."""
        head = exchange.outgoing
        self._exchange, self._head_only, self._chunks = exchange, head.method == b"HEAD", head.chunked
        self.idle_ticks = 0
        self._reset()
        self.transport.write(upstream_head(head, caller))

    def send_body(self, piece: bytes) -> None:
        """Send a piece of the request's body."""
        self.transport.write(chunk(piece) if self._chunks else piece)

    def end_body(self, trailers: tuple[bytes, ...]) -> None:
        """Say that the request is complete."""
        if self._chunks:
            self.transport.write(last_chunk(trailers))

    def let_go(self) -> None:
        """The exchange wants no more of this response: read a short rest and keep the connection, or close it."""
        exchange, self._exchange = self._exchange, None
        if self._headed and self._reusable and exchange is not None and exchange.body.complete:
            self._discarding = DISCARD_BYTES
            self.resume()
        else:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        self._exchange, self._reusable = None, False
        self.transport.abort()

    def hold(self) -> None:
        """Stop reading: the client is slower than the endpoint."""
        if not self._held and not self.transport.is_closing():
            self._held = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._held and not self.transport.is_closing():
            self._held = False
            self.transport.resume_reading()

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses

    def data_received(self, data: bytes) -> None:
        """Parse; then pass on what one read brought with one write."""
        if self._exchange is None and not self._discarding:
            self.close()
            return
        self._unparsed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:  # a switch nobody asked for has ended before it came here
            self._parser = _Bytes(self.on_body)
            if rest := data[upgrade.args[0] :]:
                self.on_body(rest)
        except httptools.HttpParserError as error:
            if error.__context__ is not None and not isinstance(error.__context__, Unacceptable):
                log.error("a response met a fault of the proxy", exc_info=error.__context__)
            self._fail(Failure.PROTOCOL)
            return
        if self._complete:
            self._conclude()
        elif self._exchange is not None:
            self._exchange.client.flush()
            if self._unparsed > HEAD_BYTES:  # of a head, of trailers, of the framing of chunks
                self._fail(Failure.PROTOCOL)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of a body that is delimited by it, or the end of an exchange."""
        self._pool.lost(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if self._headed and self._body_until_eof and exc is None:
            exchange.response_complete(())
        else:
            exchange.attempt_failed(Failure.RESET)

    def pause_writing(self) -> None:
        """The endpoint is slower than the client."""
        if self._exchange is not None:
            self._exchange.client.hold()

    def resume_writing(self) -> None:
        """The endpoint reads again."""
        if self._exchange is not None:
            self._exchange.client.resume()

    # httptools' callbacks

    def on_message_begin(self) -> None:
        """A second response begins where only one was asked for."""
        if self._complete:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what goes on to the client; note what is for this hop."""
        role = RESPONSE_ROLES.get(name.lower())
        if self._headed:
            self._trailer(role, name, value)
        elif role is None:
            self._lines.append(name + b": " + value + b"\r\n")
        elif role == LENGTH:
            self._length = value
        elif role == ENCODING:
            self._chunked(value)
        elif role == CONNECTION:
            self._connection_header += b"," + value
        elif role == RETRY_AFTER:
            self._retry_after = value
            self._lines.append(name + b": " + value + b"\r\n")

    def on_headers_complete(self) -> None:
        """Hand the head to the exchange."""
        if self._surplus:
            return
        parser = self._parser
        status = parser.get_status_code()
        if status < 200:
            if status != 101:
                self._interim = True
                if status == 100 and self._exchange is not None:
                    self._exchange.invited()
                return
            if self._exchange is None or not self._exchange.outgoing.upgrade:
                raise Unacceptable("switching protocols, unasked")
            self._switched = True
        self._headed, self._unparsed = True, 0
        bodiless = self._head_only or status in (204, 304)
        self._reusable = bool(parser.should_keep_alive()) and not self._switched
        self._body_until_eof = not bodiless and self._length is None and not self._is_chunked
        lines = without_named(self._lines, self._connection_header) if self._connection_header else self._lines
        if self._exchange is not None:
            self._exchange.response_head(status, lines, self._length, bodiless, self._retry_after)
        if self._head_only:  # the parser would wait for the body that Content-Length speaks of
            self._parser = httptools.HttpResponseParser(self)
            self._complete = True

    def on_body(self, piece: bytes) -> None:
        """Pass on a piece of the body."""
        self._unparsed = 0
        if self._complete:
            self._surplus = True
        elif self._exchange is not None:
            self._exchange.response_body(piece)
        else:
            self._discarding -= len(piece)
            if self._discarding <= 0:
                raise Unacceptable("too long to be read for nothing")

    def on_message_complete(self) -> None:
        """Note the end; what it means is settled when the whole read is parsed."""
        if self._interim:
            self._interim = False
            self._lines = []
            self._length, self._is_chunked, self._connection_header = None, False, b""
        elif not self._switched:
            self._complete = True

    def _trailer(self, role: int | None, name: bytes, value: bytes) -> None:
        if role is None and name.lower() not in NOT_AS_TRAILER:
            if len(self._trailers) >= MOST_TRAILERS:
                raise Unacceptable("too many trailers")
            self._trailers += (b"%b: %b\r\n" % (name, value),)

    def _chunked(self, value: bytes) -> None:
        if value.lower() != b"chunked":
            raise Unacceptable("unknown transfer encoding")
        self._is_chunked = True

    def _conclude(self) -> None:
        exchange, self._exchange, trailers = self._exchange, None, self._trailers
        self._discarding = 0
        if self._surplus or not self._reusable or (exchange is not None and not exchange.body.complete):
            self.close()
        else:
            self.resume()
            self._pool.release(self)
        if exchange is not None:
            exchange.response_complete(trailers)

    def _fail(self, failure: Failure) -> None:
        exchange = self._exchange
        self.close()
        if exchange is not None:
            exchange.attempt_failed(failure)

    def _reset(self) -> None:
        self._lines, self._length, self._trailers = [], None, ()
        self._retry_after = self._connection_header = b""
        self._headed = self._complete = self._surplus = self._interim = self._switched = False
        self._is_chunked = self._reusable = self._body_until_eof = False
        self._unparsed = 0
