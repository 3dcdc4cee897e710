"""The doors of one direction: plain, TLS only, or both, by the first byte."""

import asyncio
from typing import TypeVar, cast

from mesh_proxy.side import Side
from mesh_proxy.tls.ends import ServerEnd
from mesh_proxy.tls.wire import TlsConnection, TlsRefused

TLS_HANDSHAKE = 0x16
"""The first byte of TLS; HTTP begins with a letter."""


Undecided = TypeVar("Undecided", "TlsConnection", "FirstByte")


class Door:
    """Makes the protocol of each connection that is accepted. ``tls`` may change at any time, for connections to come."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self.tls: ServerEnd | None = None
        self._undecided: dict[TlsConnection | FirstByte, asyncio.TimerHandle] = {}

    def __repr__(self) -> str:
        return f"<Door {self.tls!r} {len(self._undecided)} undecided>"

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol of a connection."""
        tls, side = self.tls, self._side
        if tls is None:
            return side.protocol(None)
        if len(side.connections) + len(self._undecided) >= side.limits.connections:
            side.counts.refused["connections"] += 1
            return _Refusal()
        return self.shake_hands(tls) if tls.spec.mode == "STRICT" else self._watched(FirstByte(self, tls))

    def plain(self) -> asyncio.Protocol:
        """Return the protocol of a connection without TLS."""
        return self._side.protocol(None)

    def shake_hands(self, tls: ServerEnd) -> TlsConnection:
        """Return the protocol of a connection with TLS."""
        return self._watched(TlsConnection(tls, self._side.protocol, self.decided))

    def decided(self, connection: "TlsConnection | FirstByte", refused: TlsRefused | None = None) -> None:
        """A connection has come to terms, or it has gone."""
        timer = self._undecided.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Cut the connections that have not come to terms; the others are the side's."""
        for connection in list(self._undecided):
            connection.give_up("closed")

    def _watched(self, connection: Undecided) -> Undecided:
        limit = self._side.limits.head_s
        self._undecided[connection] = asyncio.get_running_loop().call_later(limit, connection.give_up, "timeout")
        return connection


class FirstByte(asyncio.Protocol):
    """Waits for the first byte, and hands the connection on with all that has come."""

    def __init__(self, door: Door, tls: ServerEnd) -> None:
        self._door, self._tls = door, tls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses

    def data_received(self, data: bytes) -> None:
        """Decide."""
        door = self._door
        door.decided(self)
        inner = door.shake_hands(self._tls) if data[0] == TLS_HANDSHAKE else door.plain()
        self._transport.set_protocol(inner)
        inner.connection_made(self._transport)
        inner.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client went without a word."""
        self._door.decided(self)

    def give_up(self, reason: str) -> None:
        """The client took too long."""
        self._door.decided(self)
        self._tls.failed(reason)
        self._transport.abort()


class _Refusal(asyncio.Protocol):
    """Ends a connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Cut."""
        cast("asyncio.Transport", transport).abort()
