"""HTTP/1.1 as the proxy speaks it: which headers end at a hop, how heads are written, how paths are compared."""

import posixpath
import re
from http import HTTPStatus

from mesh_proxy.telemetry.b3 import NAMES as B3_NAMES

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE"})

DROP, CONNECTION, HOST, LENGTH, ENCODING, EXPECT, TRACEPARENT, TRACESTATE, RETRY_AFTER, TE, UPGRADE, B3 = range(1, 13)
_ENDING_HERE = dict.fromkeys((b"keep-alive", b"proxy-connection", b"trailer"), DROP) | {b"te": TE, b"upgrade": UPGRADE}
_FRAMING = {b"connection": CONNECTION, b"content-length": LENGTH, b"transfer-encoding": ENCODING}
CALLER = b"x-forwarded-client-cert"
"""Who the caller is by its certificate: only the proxy that saw it may say so."""

REQUEST_ROLES = (
    _ENDING_HERE
    | _FRAMING
    | {CALLER: DROP, b"host": HOST, b"expect": EXPECT, b"traceparent": TRACEPARENT, b"tracestate": TRACESTATE}
    | dict.fromkeys(B3_NAMES, B3)
)
RESPONSE_ROLES = _ENDING_HERE | _FRAMING | {b"retry-after": RETRY_AFTER}

NOT_AS_TRAILER = frozenset(
    (
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-range",
        b"content-type",
        b"cookie",
        b"host",
        b"set-cookie",
    )
)
"""What would change the meaning of a message that was judged by its head; with all that ends at a hop."""

CHUNKED, CLOSE, KEEP_ALIVE = b"transfer-encoding: chunked\r\n", b"connection: close\r\n", b"connection: keep-alive\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
WEBSOCKET = b"connection: upgrade\r\nupgrade: websocket\r\n"
EXPECT_CONTINUE = b"expect: 100-continue\r\n"
TE_TRAILERS = b"te: trailers\r\nconnection: te\r\n"
_AUTHORITY = re.compile(rb"(?:[a-zA-Z0-9._~!$&'()*+;=%-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]*)?")
_KNOWN = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def status_line(status: int) -> bytes:
    """Return the first line of a response."""
    return _KNOWN.get(status) or b"HTTP/1.1 %d Status\r\n" % status


def chunk(piece: bytes) -> bytes:
    """Return a piece of a body in chunked framing; the piece is not empty."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def last_chunk(trailers: tuple[bytes, ...]) -> bytes:
    """Return the end of a body in chunked framing."""
    return b"0\r\n%b\r\n" % b"".join(trailers) if trailers else LAST_CHUNK


def no_body_follows(method: bytes, status: int) -> bool:
    """Tell whether a response has no body whatever its headers say."""
    return method == b"HEAD" or status in (204, 304)


def own_reply(status: int, text: str, *, head_only: bool, close: bool, lines: tuple[bytes, ...] = ()) -> bytes:
    """Return a whole response of the proxy's own; ``lines`` are further headers."""
    body = text.encode()
    head = b"%bcontent-type: text/plain\r\ncontent-length: %d\r\n%b%b\r\n" % (
        status_line(status),
        len(body),
        b"".join(lines),
        CLOSE if close else b"",
    )
    return head if head_only else head + body


def named_by(connection: bytes) -> set[bytes]:
    """Return the headers that a Connection header names, in lower case: they are meant for this hop only."""
    return {token.strip().lower() for token in connection.split(b",")} - {b"close", b"keep-alive", b"upgrade", b""}


def without_named(lines: list[bytes], connection: bytes) -> list[bytes]:
    """Return the header lines without those that a Connection header names."""
    named = named_by(connection)
    return [line for line in lines if line.partition(b":")[0].lower() not in named] if named else lines


def is_authority(host: bytes) -> bool:
    """Tell whether this is a host, with or without a port, and nothing else: no user, no path, no list."""
    return _AUTHORITY.fullmatch(host) is not None


def split_target(target: bytes) -> tuple[bytes, bytes | None]:
    """Return the path (with query) and the authority of a request target; the authority is None in origin form."""
    if target[:1] == b"/" or target == b"*":
        return target, None
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return b"", None
    authority, slash, path = rest.partition(b"/")
    authority, question, query = authority.partition(b"?")
    return (slash + path if slash else b"/" + question + query), authority


_NEEDLESSLY_ESCAPED = re.compile(rb"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")
"""Letters, digits, `-`, `.`, `_` and `~`: escaped or not they mean the same."""


def plain_path(path: bytes) -> bytes:
    """Return a path as routes compare it: dot segments resolved, slashes merged, needless escapes undone; the query stays.

    A path that would lead out of the root is no path: the result is empty."""
    if b"//" not in path and b"/." not in path and b"%" not in path:
        return path
    route, question, query = path.partition(b"?")
    route = _NEEDLESSLY_ESCAPED.sub(lambda escape: bytes.fromhex(escape[0][1:].decode()), route)
    directory = route.endswith((b"/", b"/.", b"/.."))
    inside = posixpath.normpath(route.lstrip(b"/") or b".")
    if inside == b".." or inside.startswith(b"../"):
        return b""
    resolved = b"/" + (inside if inside != b"." else b"")
    return (resolved if resolved == b"/" or not directory else resolved + b"/") + question + query


def host_name(authority: bytes) -> str:
    """Return the host of an authority in lower case, without its port."""
    text = authority.decode("latin-1").lower()
    host, colon, port = text.rpartition(":")
    return host if colon and port.isdecimal() else text
