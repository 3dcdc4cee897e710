"""A request as it was received: its head, and its body as far as it has come."""

from typing import TYPE_CHECKING, NamedTuple

from mesh_proxy.exchange.retry import REPLAYABLE_BODY_BYTES
from mesh_proxy.http.wire import CHUNKED, EXPECT_CONTINUE, TE_TRAILERS, WEBSOCKET

if TYPE_CHECKING:
    from mesh_proxy.http.ends import Way


class RequestHead(NamedTuple):
    """What a request's head says (a tuple: one is made per request, and a frozen dataclass costs three times as much).

    ``lines`` are the headers that go on as they are; ``chunked``: the body's length is not known; ``last``: the client asked
    to close; ``trailers``: the client takes trailers; ``grpc``: the answer to it is read by a gRPC client; ``port``: the
    one that the connection was made to before it was redirected here, 0 when it was not;
    ``upgrade``: the client wants to go on with WebSocket, whose bytes are the body both ways; ``b3``: Zipkin's headers, if any.
    """

    method: bytes
    path: bytes
    host: bytes
    lines: list[bytes]
    length: bytes | None = None
    chunked: bool = False
    traceparent: bytes = b""
    tracestate: bytes = b""
    expects_continue: bool = False
    http10: bool = False
    last: bool = False
    trailers: bool = False
    grpc: bool = False
    scheme: bytes = b"http"
    port: int = 0
    upgrade: bool = False
    b3: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def has_body(self) -> bool:
        """Whether a body follows."""
        return self.chunked or (self.length is not None and self.length != b"0") or self.upgrade


class RequestBody:
    """The body in pieces. It can be sent again as long as it is short; what is too long is kept only until it is sent."""

    __slots__ = ("_pieces", "_size", "_trailers", "complete", "received", "replayable")

    def __init__(self, *, complete: bool = False) -> None:
        self.complete, self.replayable = complete, True
        self._pieces: list[bytes] = []
        self._trailers: tuple[bytes, ...] = ()
        self._size = self.received = 0

    @property
    def is_large(self) -> bool:
        """Whether more is held than would be for a retry."""
        return self._size > REPLAYABLE_BODY_BYTES

    def add(self, piece: bytes, way: "Way | None") -> None:
        """Take a piece, and send it if there is a way."""
        self.received += len(piece)
        if way is not None:
            way.send_body(piece)
        if self.replayable or way is None:
            self._pieces.append(piece)
            self._size += len(piece)
        if way is not None and self.is_large:
            self._forget()

    def finish(self, trailers: tuple[bytes, ...], way: "Way | None") -> None:
        """The body is complete."""
        self.complete, self._trailers = True, trailers
        if way is not None:
            way.end_body(trailers)

    def send(self, way: "Way") -> None:
        """Send all that has come so far."""
        for piece in self._pieces:
            way.send_body(piece)
        if self.complete:
            way.end_body(self._trailers)
        if self.is_large:
            self._forget()

    def _forget(self) -> None:
        self._pieces.clear()
        self._size, self.replayable = 0, False


NO_BODY = RequestBody(complete=True)
"""What all requests without a body share; nothing is ever added to it."""


def upstream_head(head: RequestHead, caller: bytes) -> bytes:
    """Return the head for the next hop; ``caller`` are the header lines that say who calls."""
    framing = CHUNKED if head.chunked else b"content-length: %b\r\n" % head.length if head.length is not None else b""
    if head.trailers:
        framing += TE_TRAILERS
    if head.expects_continue:
        framing += EXPECT_CONTINUE
    if head.upgrade:
        framing += WEBSOCKET
    return b"%b %b HTTP/1.1\r\nhost: %b\r\n%b%b%b\r\n" % (
        head.method,
        head.path,
        head.host,
        b"".join(head.lines),
        framing,
        caller,
    )
