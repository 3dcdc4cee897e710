"""A request as it was received: its head, and its body as far as it has come."""

from collections.abc import Callable
from typing import NamedTuple

from mesh_proxy.http_wire import CHUNKED, LAST_CHUNK, chunk
from mesh_proxy.retry import REPLAYABLE_BODY_BYTES


class RequestHead(NamedTuple):
    """What a request's head says (a tuple: one is made per request, and a frozen dataclass costs three times as much).

    ``lines`` are the headers that go on as they are; ``last``: the client asked to close."""

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

    @property
    def has_body(self) -> bool:
        """Whether a body follows."""
        return self.chunked or (self.length is not None and self.length != b"0")


class RequestBody:
    """The body in pieces. It can be sent again as long as it is short; what is too long is kept only until it is sent."""

    __slots__ = ("_chunked", "_pieces", "_size", "complete", "replayable")

    def __init__(self, *, chunked: bool, complete: bool = False) -> None:
        self._chunked, self.complete, self.replayable = chunked, complete, True
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def is_large(self) -> bool:
        """Whether more is held than would be for a retry."""
        return self._size > REPLAYABLE_BODY_BYTES

    def add(self, piece: bytes, write: Callable[[bytes], None] | None) -> None:
        """Take a piece; ``write`` sends it if there is somebody to send it to."""
        framed = chunk(piece) if self._chunked else piece
        if write is not None:
            write(framed)
        if self.replayable or write is None:
            self._pieces.append(framed)
            self._size += len(framed)
        if write is not None and self.is_large:
            self._forget()

    def finish(self, write: Callable[[bytes], None] | None) -> None:
        """The body is complete."""
        self.complete = True
        if write is not None and self._chunked:
            write(LAST_CHUNK)

    def send(self, write: Callable[[bytes], None]) -> None:
        """Send all that has come so far."""
        for piece in self._pieces:
            write(piece)
        if self.complete and self._chunked:
            write(LAST_CHUNK)
        if self.is_large:
            self._forget()

    def _forget(self) -> None:
        self._pieces.clear()
        self._size, self.replayable = 0, False


NO_BODY = RequestBody(chunked=False, complete=True)
"""What all requests without a body share; nothing is ever added to it."""


def upstream_head(head: RequestHead) -> bytes:
    """Return the head for the next hop, without the trace context and the empty line."""
    framing = CHUNKED if head.chunked else b"content-length: %b\r\n" % head.length if head.length is not None else b""
    return b"%b %b HTTP/1.1\r\nhost: %b\r\n%b%b" % (head.method, head.path, head.host, b"".join(head.lines), framing)
