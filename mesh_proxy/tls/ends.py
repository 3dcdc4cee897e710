"""The two ends of TLS as a proxy lives with them: whom they accept, what they remember, what they count."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from typing import TypeVar, cast

from mesh_model.tls import ListenerTls
from mesh_proxy.tls.context import LiveContext
from mesh_proxy.tls.peer import Peer
from mesh_proxy.tls.wire import TlsConnection, TlsRefused

Within = TypeVar("Within", bound=asyncio.Protocol)


class ServerEnd:
    """Takes the clients of a listener; counts in ``refused``, by reason, those that it does not take."""

    def __init__(self, live: LiveContext, spec: ListenerTls, refused: Counter[str]) -> None:
        self.live, self.spec, self._refused = live, spec, refused
        self._names = spec.validation.names if spec.validation is not None else ()
        self.handshakes = self.resumed = 0

    def __repr__(self) -> str:
        return f"<ServerEnd {self.spec.mode} {self.handshakes} handshakes, {self.resumed} resumed>"

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Return TLS with the certificate of this moment."""
        return self.live.context.wrap_bio(incoming, outgoing, server_side=True)

    def agree(self, tls: ssl.SSLObject, peer: Peer | None) -> None:
        """Take the client, or raise TlsRefused."""
        if self._names and (peer is None or not peer.bears(self._names)):
            raise TlsRefused("wrong_name")
        self.handshakes += 1
        self.resumed += bool(tls.session_reused)

    def failed(self, reason: str) -> None:
        """Count."""
        self._refused[f"tls_{reason}"] += 1


class ClientEnd:
    """Calls servers. ``names`` (empty: any) are those that a server's certificate must bear one of."""

    def __init__(self, live: LiveContext, names: tuple[str, ...] = (), server_name: str = "") -> None:
        self.live, self._names, self._server_name = live, names, server_name
        self.handshakes = self.resumed = 0
        self.refused: Counter[str] = Counter()
        self._last: ssl.SSLObject | None = None

    def __repr__(self) -> str:
        return f"<ClientEnd {self._server_name} {self.handshakes} handshakes, refused {dict(self.refused)}>"

    async def connect(self, host: str, port: int, make: Callable[[str | None], Within]) -> Within:
        """Connect and return what ``make`` made of the agreed protocol. Raises OSError (TlsRefused is one)."""
        loop = asyncio.get_running_loop()
        shaken: asyncio.Future[TlsConnection] = loop.create_future()

        def on_shaken(connection: TlsConnection, refused: TlsRefused | None) -> None:
            if shaken.done():  # nobody waits any more
                connection.abort()
            elif refused is not None:
                shaken.set_exception(refused)
            else:
                shaken.set_result(connection)

        transport, _ = await loop.create_connection(lambda: TlsConnection(self, make, on_shaken), host, port)
        try:
            connection = await shaken
        except asyncio.CancelledError:
            transport.abort()
            raise
        if connection.is_closing():
            raise TlsRefused("closed")
        return cast("Within", connection.get_protocol())

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Return TLS with the certificate of this moment; the last server's session saves half of the handshake."""
        context = self.live.context
        last = self._last
        session = last.session if last is not None and last.context is context else None
        return context.wrap_bio(incoming, outgoing, server_hostname=self._server_name or None, session=session)

    def agree(self, tls: ssl.SSLObject, peer: Peer | None) -> None:
        """Take the server, or raise TlsRefused."""
        if self._names and (peer is None or not peer.bears(self._names)):
            raise TlsRefused("wrong_name")
        self.handshakes += 1
        self.resumed += bool(tls.session_reused)
        self._last = tls

    def failed(self, reason: str) -> None:
        """Count."""
        self.refused[reason] += 1
