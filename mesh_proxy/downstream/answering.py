"""Answers in HTTP/1.1: how the answer to the present request is framed and what it makes of the connection."""

import asyncio
from typing import TYPE_CHECKING

from mesh_proxy.http.wire import (
    CHUNKED,
    CLOSE,
    CONTINUE,
    KEEP_ALIVE,
    WEBSOCKET,
    chunk,
    last_chunk,
    no_body_follows,
    own_reply,
    status_line,
)

if TYPE_CHECKING:
    from mesh_proxy.exchange.exchange import Exchange
    from mesh_proxy.exchange.rescue import Rescue


class Answering(asyncio.Protocol):
    """The half of a connection from a client that writes; ``current`` is the exchange that is answered now."""

    __slots__ = ("_chunked", "_early", "_out", "_switched", "closing", "congested", "current", "transport")

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.current: Exchange | None = None
        self._out: list[bytes] = []
        self.closing = self.congested = self._chunked = self._switched = False
        self._early = b""

    def answer(self, status: int, lines: list[bytes], length: bytes | None, bodiless: bool) -> None:
        """Write the head of the answer, and settle how its body is framed and whether the connection goes on."""
        exchange = self.current
        assert exchange is not None
        if status == 101:
            self._switch(exchange, lines)
            return
        self._chunked, http10 = False, exchange.head.http10
        parts = [status_line(status), *lines]
        if length is not None:
            parts.append(b"content-length: %b\r\n" % length)
        elif not bodiless:
            self._chunked = not http10
            if http10:
                self.closing = True
            else:
                parts.append(CHUNKED)
        elif not no_body_follows(exchange.head.method, status):
            parts.append(b"content-length: 0\r\n")
        if not exchange.body.complete:
            self.closing = True
        if self.closing:
            parts.append(CLOSE)
        elif http10:
            parts.append(KEEP_ALIVE)
        parts.append(b"\r\n")
        self._out.append(b"".join(parts))

    def invite(self) -> None:
        """Tell the client to send the body that it holds back."""
        if not self.transport.is_closing():
            self.transport.write(CONTINUE)

    def answer_body(self, piece: bytes) -> None:
        """Write a piece of the answer's body."""
        self._out.append(chunk(piece) if self._chunked else piece)

    def answer_end(self, trailers: tuple[bytes, ...]) -> None:
        """End the answer; trailers go to those who asked for them."""
        if self._chunked:
            asked = self.current is not None and self.current.head.trailers
            self._out.append(last_chunk(trailers if asked else ()))

    def reply(self, why: "Rescue") -> None:
        """Answer in the endpoint's place."""
        exchange = self.current
        assert exchange is not None
        if not exchange.body.complete:
            self.closing = True
        head_only = exchange.head.method == b"HEAD"
        self._out = [own_reply(why.status, why.text, head_only=head_only, close=self.closing, lines=why.lines)]

    def flush(self) -> None:
        """Write what has come so far."""
        if self._out:
            out, self._out = self._out, []
            if not self.transport.is_closing():
                self.transport.writelines(out)

    def _switch(self, exchange: "Exchange", lines: list[bytes]) -> None:
        """From here on bytes pass both ways as they are."""
        self.closing = self._switched = True
        self._out.append(b"".join((status_line(101), *lines, WEBSOCKET, b"\r\n")))
        early, self._early = self._early, b""
        if early:
            exchange.request_body(early)
