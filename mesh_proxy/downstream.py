"""One connection from a client: its requests in the order they come, their answers in the same order."""

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from mesh_proxy import rescue
from mesh_proxy.exchange import Exchange
from mesh_proxy.http_wire import (
    CONNECTION,
    CONTINUE,
    ENCODING,
    EXPECT,
    HOST,
    LENGTH,
    METHODS,
    REQUEST_ROLES,
    TRACEPARENT,
    TRACESTATE,
    own_reply,
    plain_path,
    split_target,
    without_named,
)
from mesh_proxy.request import RequestHead
from mesh_proxy.spans import attribute

if TYPE_CHECKING:
    from mesh_proxy.side import Side

log = logging.getLogger(__name__)

LINGER_TICKS = 2
LONGEST_HOST = 255


class Refused(Exception):
    """The connection's bytes are not a request this proxy takes; an answer tells why, then the connection closes."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Downstream(asyncio.Protocol):
    """Parses requests strictly and lets one exchange at a time run; further ones wait, and reading stops meanwhile."""

    __slots__ = (
        "_advancing",
        "_body_size",
        "_client_attribute",
        "_connection_header",
        "_current",
        "_encoding",
        "_expect",
        "_held",
        "_host",
        "_host_attribute",
        "_last_host",
        "_length",
        "_lines",
        "_lingering",
        "_parser",
        "_quiet_ticks",
        "_receiving",
        "_refused",
        "_side",
        "_traceparent",
        "_tracestate",
        "_unparsed",
        "_url",
        "_waiting",
        "closing",
        "congested",
        "transport",
    )

    transport: asyncio.Transport
    _lines: list[bytes]
    _host: bytes | None
    _length: bytes | None

    def __init__(self, side: "Side") -> None:
        self._side = side
        self._parser = httptools.HttpRequestParser(self)
        self._current: Exchange | None = None
        self._receiving: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._refused: Refused | None = None
        self.closing = self.congested = self._held = self._advancing = False
        self._unparsed = self._body_size = self._quiet_ticks = self._lingering = 0
        self._client_attribute = self._host_attribute = self._last_host = b""
        self._url = b""
        self._begin()

    def __repr__(self) -> str:
        return f"<Downstream {self._current!r} and {len(self._waiting)} waiting>"

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._current is not None

    # what an exchange asks of its client

    def write(self, pieces: list[bytes]) -> None:
        """Write to the client."""
        if not self.transport.is_closing():
            self.transport.writelines(pieces)

    def done(self) -> None:
        """The current exchange is finished: go on with the next request, or close."""
        self._current = None
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

    def close_after_answer(self) -> None:
        """Close once the current request is answered."""
        self.closing = True

    def abort(self) -> None:
        """Cut the connection: the client must see that its answer is not whole."""
        self.transport.abort()

    def span_attributes(self, host: bytes) -> bytes:
        """Return the attributes of SERVER spans that come from the connection and the Host header."""
        if host != self._last_host:
            self._last_host = host
            self._host_attribute = attribute("server.address", host[:LONGEST_HOST].decode("latin-1"))
        return self._client_attribute + self._host_attribute

    # what the side tells

    def tick(self) -> None:
        """A second has passed."""
        self._quiet_ticks += 1
        current, limits = self._current, self._side.limits
        if self._lingering:
            self._lingering += 1
            if self._lingering > LINGER_TICKS:
                self.transport.abort()
        elif current is not None:
            current.quiet_ticks += 1
            if current.idle_s and current.quiet_ticks > current.idle_s:
                current.fell_silent()
        elif self._quiet_ticks > (limits.head_s if self._unparsed or self._url else limits.keep_alive_s):
            self._side.counts.refused["idle"] += 1
            self.transport.close()

    def drain(self) -> None:
        """Close now, or when the requests that were taken are answered."""
        self.closing = True
        if self._current is None:
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
        peer = transport.get_extra_info("peername")
        self._client_attribute = attribute("client.address", str(peer[0])) if peer else b""

    def data_received(self, data: bytes) -> None:
        """Parse."""
        if self._lingering or self._refused is not None:
            return
        if not self._unparsed:  # a head that comes drop by drop does not gain time by it
            self._quiet_ticks = 0
        self._unparsed += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            if error.__context__ is not None and self._refused is None:
                log.error("a request met a fault of the proxy", exc_info=error.__context__)
            self._malformed(self._refused or Refused(400, "Bad Request"))
            return
        if self._unparsed > self._side.limits.head_bytes:
            self._malformed(Refused(431, "Request Header Fields Too Large"))

    def eof_received(self) -> bool:
        """The client has gone, as far as HTTP/1.1 is concerned."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the current exchange end without its client."""
        self._side.connections.discard(self)
        self._waiting.clear()
        self.closing = True
        if self._current is not None:
            self._current.client_gone()

    def pause_writing(self) -> None:
        """The client reads more slowly than the endpoint writes."""
        self.congested = True
        if self._current is not None:
            self._current.hold_response()

    def resume_writing(self) -> None:
        """The client reads again."""
        self.congested = False
        if self._current is not None:
            self._current.resume_response()

    # httptools' callbacks

    def on_url(self, url: bytes) -> None:
        """A request begins (its target may come in pieces)."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what goes on to the next hop; note what is for this one. Trailers end here."""
        if self._receiving is not None:
            return
        role = REQUEST_ROLES.get(name.lower())
        if role is None:
            self._lines.append(b"%b: %b\r\n" % (name, value))
            if len(self._lines) > self._side.limits.headers:
                self._refuse(431, "Request Header Fields Too Large")
        elif role == HOST:
            if self._host is not None:
                self._refuse(400, "more than one Host")
            self._host = value
        elif role == LENGTH:
            self._length = value
        else:
            self._note(role, value)

    def on_headers_complete(self) -> None:
        """A request is known; one with a body starts before the body is there."""
        most = self._side.limits.head_bytes
        if self._unparsed > most and sum(map(len, self._lines), len(self._url)) > most:  # one read may bring more than a head
            self._refuse(431, "Request Header Fields Too Large")
        exchange = self._receiving = Exchange(self, self._side, self._head())
        self._unparsed = self._body_size = 0
        if exchange.head.has_body:
            self._take(exchange)

    def on_body(self, piece: bytes) -> None:
        """Hand a piece of the body to its exchange."""
        self._unparsed = 0
        most = self._side.limits.body_bytes
        if most is not None:
            self._body_size += len(piece)
            if self._body_size > most:
                self._refuse(413, rescue.TOO_LARGE.text)
        if self._receiving is not None and not self._receiving.finished:
            self._receiving.request_body(piece)

    def on_message_complete(self) -> None:
        """The request is complete."""
        exchange, self._receiving = self._receiving, None
        self._unparsed = 0
        self._begin()
        if exchange is None or exchange.finished:
            return
        if exchange.head.has_body:
            exchange.request_complete()
        else:
            self._take(exchange)

    # the steps

    def _begin(self) -> None:
        self._url = b""
        self._lines, self._host, self._length = [], None, None
        self._connection_header = self._encoding = self._traceparent = self._tracestate = self._expect = b""

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:  # an offer that is not taken up; the connection goes on as it was
                data = data[upgrade.args[0] :]
                self._parser = httptools.HttpRequestParser(self)

    def _note(self, role: int, value: bytes) -> None:
        if role == ENCODING:
            if value.lower() != b"chunked":
                self._refuse(501, "only the chunked transfer encoding is understood")
            self._encoding = value
        elif role == CONNECTION:
            self._connection_header += b"," + value
        elif role == TRACEPARENT:
            self._traceparent = value
        elif role == TRACESTATE:
            self._tracestate = self._tracestate + b"," + value if self._tracestate else value
        elif role == EXPECT:
            self._expect = value

    def _head(self) -> RequestHead:
        parser = self._parser
        method, path, host = parser.get_method(), self._url, self._host
        http10 = parser.get_http_version() != "1.1"
        if path[:1] != b"/":
            path, authority = split_target(path)
            host = authority if authority is not None else host
        self._judge(method, path, host, http10=http10)
        named = self._connection_header
        return RequestHead(
            method=method,
            path=plain_path(path),
            host=host or b"",
            lines=without_named(self._lines, named) if named else self._lines,
            length=self._length,
            chunked=bool(self._encoding),
            traceparent=self._traceparent,
            tracestate=self._tracestate,
            expects_continue=self._expect.lower() == b"100-continue" and not http10,
            http10=http10,
            last=not parser.should_keep_alive(),
        )

    def _judge(self, method: bytes, path: bytes, host: bytes | None, *, http10: bool) -> None:
        has_body = self._encoding or (self._length or b"0") != b"0"
        if method not in METHODS:
            self._refuse(501, "Not Implemented")
        if http10 and (self._encoding or self._parser.get_http_version() != "1.0"):
            self._refuse(400, "chunked needs HTTP/1.1" if self._encoding else "HTTP/1.0 or HTTP/1.1, please")
        if (host is None and not http10) or not path:
            self._refuse(400, "no Host" if path else "Bad Request")
        if has_body and self._parser.should_upgrade():
            self._refuse(501, "an upgrade with a body is not understood")

    def _refuse(self, status: int, text: str) -> None:
        self._refused = Refused(status, text)
        raise self._refused

    def _take(self, exchange: Exchange) -> None:
        if self._current is None and not self._waiting:
            self._start(exchange)
        else:
            self._waiting.append(exchange)
            self.hold()

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        if exchange.head.last:
            self.closing = True
        if exchange.head.expects_continue and not exchange.body.complete:
            self.write([CONTINUE])
        exchange.start()

    def _advance(self) -> None:
        self._advancing = True
        while self._waiting and self._current is None:
            self._start(self._waiting.popleft())
        self._advancing = False
        if self._current is not None:
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
        if receiving is not None and receiving is self._current:
            receiving.refuse(rescue.TOO_LARGE if refused.status == 413 else rescue.MALFORMED)
        elif receiving is not None and receiving in self._waiting:
            self._waiting.remove(receiving)
        elif self._current is None:
            self._say_refused(refused)

    def _say_refused(self, refused: Refused) -> None:
        if not self._lingering:
            self.write([own_reply(refused.status, refused.text, head_only=False, close=True)])
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
