"""Gathering the head of a request, header by header, and judging it: what could be read in two ways is refused."""

from typing import Protocol

from mesh_proxy.http.request import RequestHead
from mesh_proxy.http.wire import (
    B3,
    CONNECTION,
    ENCODING,
    EXPECT,
    HOST,
    LENGTH,
    METHODS,
    NOT_AS_TRAILER,
    REQUEST_ROLES,
    TE,
    TRACEPARENT,
    TRACESTATE,
    UPGRADE,
    is_authority,
    named_by,
    plain_path,
    split_target,
    without_named,
)


class Refused(Exception):
    """The bytes of a connection are not a request this proxy takes; an answer tells why, then the connection closes."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


HEAD_TOO_LARGE = "Request Header Fields Too Large"


class Parser(Protocol):
    """What httptools' request parser knows once it has read a head."""

    def get_method(self) -> bytes:
        """Return the method."""
        ...

    def get_http_version(self) -> str:
        """Return the version, such as ``1.1``."""
        ...

    def should_keep_alive(self) -> bool:
        """Tell whether another request may follow."""
        ...

    def should_upgrade(self) -> bool:
        """Tell whether the client offers another protocol."""
        ...


class HeadReader:
    """Takes httptools' callbacks, one request after the other; ``begin`` before each, ``head`` when its headers are complete."""

    __slots__ = (
        "_b3",
        "_connection",
        "_encoding",
        "_expect",
        "_good_host",
        "_host",
        "_length",
        "_lines",
        "_most_headers",
        "_te",
        "_traceparent",
        "_tracestate",
        "_upgrade",
        "_url",
        "complete",
        "port",
        "trailers",
    )

    _lines: list[bytes]
    _host: bytes | None
    _length: bytes | None

    def __init__(self, most_headers: int, port: int = 0) -> None:
        self._most_headers, self.port = most_headers, port
        self._good_host: bytes | None = b"\n"  # no host at all
        self.begin()

    @property
    def begun(self) -> bool:
        """Whether part of a head has come."""
        return bool(self._url) and not self.complete

    @property
    def size(self) -> int:
        """How long the head is, about; bytes."""
        return sum(map(len, self._lines), len(self._url))

    def begin(self) -> None:
        """Forget the last request."""
        self.complete = False
        self.trailers: tuple[bytes, ...] = ()
        self._b3: tuple[tuple[bytes, bytes], ...] = ()
        self._url = b""
        self._lines, self._host, self._length = [], None, None
        self._connection = self._encoding = self._traceparent = self._tracestate = self._expect = self._te = self._upgrade = b""

    def on_url(self, url: bytes) -> None:
        """A request begins (its target may come in pieces)."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep what goes on to the next hop; note what is for this one. Raises Refused."""
        role = REQUEST_ROLES.get(name.lower())
        if self.complete:
            self._trailer(role, name, value)
        elif role is None:
            self._lines.append(name + b": " + value + b"\r\n")
        elif role == HOST:
            if self._host is not None:
                raise Refused(400, "more than one Host")
            self._host = value
        elif role == LENGTH:
            self._length = value
        elif role == B3:
            self._b3 += ((name.lower(), value),)
        else:
            self._note(role, value)

    def head(self, parser: Parser) -> RequestHead:
        """Return the head. Raises Refused."""
        self.complete = True
        if len(self._lines) > self._most_headers:  # counted once: until here the bytes of a head are the limit
            raise Refused(431, HEAD_TOO_LARGE)
        method, path, host = parser.get_method(), self._url, self._host
        http10 = parser.get_http_version() != "1.1"
        if path[:1] != b"/":
            if method == b"CONNECT":
                return self._connect(path, http10=http10)
            path, authority = split_target(path)
            host = authority if authority is not None else host
        self._judge(parser, method, path, host, http10=http10)
        named = self._connection
        if named and b"host" in named_by(named):
            raise Refused(400, "Host is meant for every hop")
        lines = without_named(self._lines, named) if named else self._lines
        expects_continue = bool(self._expect) and not http10
        path = plain_path(path)
        if not path:
            raise Refused(400, "the path leads out of the root")
        return RequestHead(  # by position: half as expensive as by name
            method,
            path,
            host or b"",
            lines,
            self._length,
            bool(self._encoding),
            self._traceparent,
            self._tracestate,
            expects_continue,
            http10,
            not parser.should_keep_alive(),
            bool(self._te) and b"trailers" in self._te.lower(),
            False,
            b"http",
            self.port,
            bool(self._upgrade) and self._upgrade.lower() == b"websocket" and method == b"GET" and parser.should_upgrade(),
            self._b3,
        )

    def _judge_host(self, host: bytes | None, *, http10: bool) -> None:
        """Judge a Host once, for most requests of a connection have the same."""
        if host is None and http10:
            return
        if host is None or not is_authority(host):
            raise Refused(400, "no Host" if host is None else "no good Host")
        self._good_host = host

    def _connect(self, authority: bytes, *, http10: bool) -> RequestHead:
        """Return the head of a CONNECT. Raises Refused."""
        host, colon, port = authority.rpartition(b":")
        if http10 or not host or not colon or not port.isdigit() or not 0 < int(port) < 65_536 or not is_authority(authority):
            raise Refused(400, "CONNECT needs a host and a port")
        if (
            self._encoding
            or (self._length or b"0") != b"0"
            or (self._host or authority).lower() not in (authority.lower(), host.lower())
        ):
            raise Refused(400, "CONNECT needs one host and no body")
        parent, state = self._traceparent, self._tracestate
        return RequestHead(b"CONNECT", b"/", authority, self._lines, traceparent=parent, tracestate=state, upgrade=True)

    def _trailer(self, role: int | None, name: bytes, value: bytes) -> None:
        """Keep a trailer, unless it would say where a request goes or how it is framed."""
        if role is None and name.lower() not in NOT_AS_TRAILER:
            self.trailers += (name + b": " + value + b"\r\n",)
            if len(self.trailers) > self._most_headers:
                raise Refused(431, HEAD_TOO_LARGE)

    def _note(self, role: int, value: bytes) -> None:
        if role == ENCODING:
            if value.lower() != b"chunked":
                raise Refused(501, "only the chunked transfer encoding is understood")
            self._encoding = value
        elif role == CONNECTION:
            self._connection += b"," + value
        elif role == TRACEPARENT:
            self._traceparent = value
        elif role == TRACESTATE:
            self._tracestate = self._tracestate + b"," + value if self._tracestate else value
        elif role == TE:
            self._te += b"," + value
        elif role == UPGRADE:
            self._upgrade += b"," + value if self._upgrade else value
        elif role == EXPECT:
            if value.lower() != b"100-continue":
                raise Refused(417, "Expectation Failed")
            self._expect = value

    def _judge(self, parser: Parser, method: bytes, path: bytes, host: bytes | None, *, http10: bool) -> None:
        has_body = self._encoding or (self._length or b"0") != b"0"
        if method not in METHODS:
            raise Refused(501, "Not Implemented")
        if http10 and (self._encoding or parser.get_http_version() != "1.0"):
            raise Refused(400, "chunked needs HTTP/1.1" if self._encoding else "HTTP/1.0 or HTTP/1.1, please")
        if host != self._good_host:
            self._judge_host(host, http10=http10)
        if not path or b"#" in path or b"%00" in path:
            raise Refused(400, "Bad Request")
        if has_body and parser.should_upgrade():
            raise Refused(501, "an upgrade with a body is not understood")
