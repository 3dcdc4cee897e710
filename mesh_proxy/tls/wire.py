"""TLS over a connection: between the socket's transport and the protocol that speaks HTTP, for servers and clients alike.

uvloop brings TLS of its own. This one takes connections whose first bytes were read already, gives each connection the
certificate of its moment, tells refusals by reason, and costs no more CPU.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, Protocol, cast

from mesh_proxy.tls.peer import Peer, peer_of

RECORD_BYTES = 16_384
"""The most that one record holds. Asking for more would have the allocator map and unmap memory on each read."""

_VERIFICATION = {9: "not_yet_valid", 10: "expired", 26: "wrong_purpose"}
_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no_certificate",
    "HTTP_REQUEST": "plain",
    "HTTPS_PROXY_REQUEST": "plain",
    "WRONG_VERSION_NUMBER": "plain",
    "RECORD_LAYER_FAILURE": "plain",
    "UNSUPPORTED_PROTOCOL": "version",
    "NO_SHARED_CIPHER": "cipher",
}


class TlsRefused(ConnectionError):
    """One end did not accept the other; ``reason`` is one of few, for counting."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"TLS: {reason}")
        self.reason = reason


class End(Protocol):
    """One end of TLS connections, a server's or a client's."""

    def wrap(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        """Return TLS as it is spoken from this moment on."""
        ...

    def agree(self, tls: ssl.SSLObject, peer: Peer | None) -> None:
        """The handshake went well: judge the peer. Raises TlsRefused."""
        ...

    def failed(self, reason: str) -> None:
        """Count a connection that TLS put an end to."""
        ...


Ended = Callable[["TlsConnection", TlsRefused | None], None]
Make = Callable[[str | None], asyncio.Protocol]


class TlsConnection(asyncio.Protocol, asyncio.Transport):
    """The socket's protocol, and the transport of the protocol within; ``make`` gets what ALPN agreed on.

    ``on_shaken`` hears once of the end of the handshake, good or bad; then the protocol within is told of its
    connection. One object is both ends of the way, and one read of the socket is one read within: fewer calls.
    """

    __slots__ = (
        "_closing",
        "_encrypt",
        "_end",
        "_incoming",
        "_inner",
        "_make",
        "_on_shaken",
        "_outgoing",
        "_read",
        "_sealed",
        "_silent",
        "_tls",
        "_transport",
        "peer",
    )

    _transport: asyncio.Transport
    _tls: ssl.SSLObject
    _read: Callable[[int], bytes]
    _encrypt: Callable[[bytes], int]
    _sealed: Callable[[], bytes]

    def __init__(self, end: End, make: Make, on_shaken: Ended) -> None:
        self._end, self._make = end, make
        self._on_shaken: Ended | None = on_shaken
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._inner: asyncio.Protocol | None = None
        self._closing, self._silent = False, True
        self.peer: Peer | None = None

    def __repr__(self) -> str:
        return f"<TlsConnection {'in handshake' if self._on_shaken else f'of {self._inner!r}'}>"

    # the socket's protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake; a client speaks first."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses
        tls = self._tls = self._end.wrap(self._incoming, self._outgoing)
        self._read, self._encrypt, self._sealed = tls.read, tls.write, self._outgoing.read
        self._shaken_hands()

    def data_received(self, data: bytes) -> None:
        """Decrypt, and pass on what one read brought as one read."""
        incoming = self._incoming
        incoming.write(data)
        if self._inner is None and not self._shaken_hands():
            return
        received, broken, ended = b"", None, False
        try:
            received = self._read(RECORD_BYTES)
            if not received:
                ended = True
            elif incoming.pending or self._tls.pending():  # asking costs less than an exception: 4 of 9 us
                received, broken, ended = self._more(received)
        except ssl.SSLWantReadError:  # part of a record, or what is only for TLS: a session ticket, new keys
            pass
        except ssl.SSLZeroReturnError:  # the peer says the end after we did
            ended = True
        except ssl.SSLError as error:
            broken = error
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())
        if received and not self._closing and self._inner is not None:
            self._silent = False
            self._inner.data_received(received)
        if ended or broken is not None:
            self._ended(broken)

    def eof_received(self) -> bool:
        """The socket ended and TLS did not: somebody may have cut off the rest."""
        self._cut(ConnectionResetError("the connection ended without the end of TLS"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        self._closing = True
        inner, self._inner = self._inner, None
        if inner is not None:
            if exc is not None and self._silent:  # a server that refuses our certificate may be gone before its alert is read
                self._end.failed("cut")
            inner.connection_lost(exc)
        self._shaken(TlsRefused("closed"))

    def pause_writing(self) -> None:
        """The peer reads too slowly."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The peer reads again."""
        if self._inner is not None:
            self._inner.resume_writing()

    # the transport of the protocol within

    def write(self, data: Any) -> None:
        """Encrypt and send."""
        if data and not self._closing:
            self._encrypt(data)
            self._transport.write(self._sealed())

    def writelines(self, pieces: Any) -> None:
        """Encrypt and send, in as few records as can be."""
        self.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def can_write_eof(self) -> bool:
        """One direction may end before the other."""
        return True

    def write_eof(self) -> None:
        """Say that nothing more comes, and go on reading."""
        if not self._closing:
            self._say_end()
            self._encrypt = len  # what is written from here on goes nowhere

    def close(self) -> None:
        """Send what was written, say the end, and close."""
        if not self._closing:
            self._closing = True
            self._say_end()
            self._transport.close()

    def abort(self) -> None:
        """Cut the connection."""
        self._closing = True
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self._closing  # asked for each request; an end that comes from below is told at once by connection_lost

    def pause_reading(self) -> None:
        """Read no more."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the ``peer`` by its certificate, or what the socket knows."""
        return self.peer if name == "peer" else self._transport.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        """Return how much the peer has not taken yet; bytes."""
        return self._transport.get_write_buffer_size()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """From here on another protocol is within."""
        self._inner = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol within."""
        assert self._inner is not None
        return self._inner

    def give_up(self, reason: str) -> None:
        """Cut a connection whose handshake takes too long."""
        self._shaken(TlsRefused(reason))
        self.abort()

    # the steps

    def _more(self, first: bytes) -> tuple[bytes, ssl.SSLError | None, bool]:
        """Return all that one read of the socket brought, what broke, and whether the peer said the end."""
        pieces = [first]
        try:
            while self._incoming.pending or self._tls.pending():
                piece = self._read(RECORD_BYTES)
                if not piece:
                    return b"".join(pieces), None, True
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            return b"".join(pieces), None, True
        except ssl.SSLError as error:
            return b"".join(pieces), error, False
        return b"".join(pieces), None, False

    def _shaken_hands(self) -> bool:
        """Go on with the handshake; return whether there is a protocol within to talk to."""
        if self._on_shaken is None:
            return False
        refused = None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            refused = TlsRefused(reason_of(error))
        self._flush()  # also when it failed: an alert tells the peer why
        try:
            if refused is None:
                self.peer = peer_of(self._tls)
                self._end.agree(self._tls, self.peer)
        except TlsRefused as error:
            refused = error
            self._say_end()
        if refused is not None:
            self._closing = True
            self._shaken(refused)
            self._transport.close()
            return False
        inner = self._inner = self._make(self._tls.selected_alpn_protocol())
        inner.connection_made(self)
        self._shaken(None)
        return True

    def _shaken(self, refused: TlsRefused | None) -> None:
        """Tell of the end of the handshake; the first end counts."""
        tell, self._on_shaken = self._on_shaken, None
        if tell is not None:
            if refused is not None:
                self._end.failed(refused.reason)
            tell(self, refused)

    def _ended(self, broken: ssl.SSLError | None) -> None:
        """TLS came to its end: said by the peer, or broken."""
        if self._inner is None:
            return
        if broken is not None:
            self._end.failed(reason_of(broken))
            self._cut(broken)
        elif not self._inner.eof_received():
            self.close()

    def _cut(self, why: Exception) -> None:
        """The bytes so far are good, and no more can come."""
        self._closing = True
        self._transport.abort()
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.connection_lost(why)
        self._shaken(TlsRefused("closed"))

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def _say_end(self) -> None:
        with contextlib.suppress(ssl.SSLError):  # the peer has not said the end yet, and nobody waits for it
            self._tls.unwrap()
        self._flush()


def reason_of(error: ssl.SSLError) -> str:
    """Return why TLS failed: one of few reasons."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFICATION.get(error.verify_code, "untrusted")
    reason = error.reason or ""
    return _REASONS.get(reason) or ("peer_refused" if "ALERT" in reason else "protocol")
