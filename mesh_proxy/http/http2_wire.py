"""HTTP/2 header blocks and the header lines that exchanges deal in, each judged as strictly as the other.

What comes out of here can be written as HTTP/1.1 and means the same there: names are tokens, values hold no CR, LF or NUL,
nothing speaks of a connection, there is one host. The library's own checks are off: they allow names that HTTP/1.1 does
not, and look at every character in Python.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from mesh_proxy.http import grpc_status
from mesh_proxy.http.request import RequestHead
from mesh_proxy.http.wire import CALLER, METHODS, NOT_AS_TRAILER, no_body_follows, plain_path
from mesh_proxy.telemetry import b3

Pairs = list[tuple[bytes, bytes]]

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+").fullmatch
_VALUE = re.compile(rb"(?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?").fullmatch
_AUTHORITY = re.compile(rb"[^\x00-\x20/?#@\\\x7f-\xff]+").fullmatch
_PATH = re.compile(rb"/[^\x00-\x20\x7f-\xff#]*").fullmatch
_PSEUDO = frozenset((b":method", b":path", b":scheme", b":authority"))
_OF_A_CONNECTION = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
_ENDING_HERE = _OF_A_CONNECTION | {b"te", b"trailer", b"host", b"content-length", CALLER}
_GRPC = re.compile(rb"application/grpc(?:[+;].*)?").fullmatch


class Malformed(Exception):
    """A header block that is not one, or that HTTP/1.1 would read differently."""


class Refused(Malformed):
    """A header block that is well-formed, but says what is not taken; ``status`` is the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class ResponseHead(NamedTuple):
    """What a response's header block says. ``grpc_status`` is that of an answer without a body, NO_STATUS without one."""

    status: int
    lines: list[bytes]
    length: bytes | None
    retry_after: bytes
    grpc_status: int


def request_of(block: Iterable[tuple[bytes, bytes]], *, ended: bool, most_headers: int) -> RequestHead:
    """Return the request that a header block begins; ``ended``: it has no body. Raises Malformed."""
    pseudo, headers = _split(block, most_headers)
    if pseudo.keys() - _PSEUDO:
        raise Malformed("an unknown pseudo-header")
    method, scheme, path = pseudo.get(b":method", b""), pseudo.get(b":scheme", b""), pseudo.get(b":path", b"")
    if method not in METHODS or scheme not in (b"http", b"https") or not (_PATH(path) or (path == b"*" and method == b"OPTIONS")):
        raise Malformed("no method, path or scheme that is understood")
    plain = plain_path(path)
    if not plain:
        raise Refused(400, "a path out of the root")
    lines, special = _lines(headers)
    host = _host(pseudo.get(b":authority"), special.get(b"host"))
    length = _length(special.get(b"content-length"))
    if ended:
        if length not in (None, b"0"):
            raise Malformed("a content-length without content")
        length = b"0" if length is not None or method not in (b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE") else None
    return RequestHead(
        method,
        plain,
        host,
        lines,
        length,
        chunked=not ended and length is None,
        traceparent=special.get(b"traceparent", b""),
        tracestate=special.get(b"tracestate", b""),
        expects_continue=special.get(b"expect", b"").lower() == b"100-continue",
        trailers=b"te" in special,
        grpc=_GRPC(special.get(b"content-type", b"")) is not None,
        scheme=scheme,
        b3=tuple((name, special[name]) for name in special.keys() & b3.NAMES),
    )


def request_block(head: RequestHead, caller: bytes) -> Pairs:
    """Return the header block that sends a request on; ``caller`` are further header lines."""
    block = [(b":method", head.method), (b":scheme", head.scheme), (b":authority", head.host), (b":path", head.path)]
    block += pairs_of(head.lines)
    block += pairs_of(caller.splitlines(keepends=True))
    if head.length is not None:
        block.append((b"content-length", head.length))
    if head.expects_continue:
        block.append((b"expect", b"100-continue"))
    if head.trailers:
        block.append((b"te", b"trailers"))
    return block


def response_of(block: Iterable[tuple[bytes, bytes]], most_headers: int) -> ResponseHead:
    """Return what a response's header block says. Raises Malformed."""
    pseudo, headers = _split(block, most_headers)
    status = pseudo.get(b":status", b"")
    if pseudo.keys() != {b":status"} or len(status) != 3 or not status.isdigit():
        raise Malformed("no status")
    lines, special = _lines(headers, response=True)
    return ResponseHead(
        int(status),
        lines,
        _length(special.get(b"content-length")),
        special.get(b"retry-after", b""),
        grpc_status.parse(special.get(b"grpc-status")),
    )


def response_block(method: bytes, status: int, lines: list[bytes], length: bytes | None, *, bodiless: bool) -> Pairs:
    """Return the header block that begins an answer."""
    block = [(b":status", b"%d" % status), *pairs_of(lines)]
    if length is not None and (not bodiless or no_body_follows(method, status)):
        block.append((b"content-length", length))
    return block


def trailers_of(block: Iterable[tuple[bytes, bytes]], most_headers: int) -> tuple[tuple[bytes, ...], int]:
    """Return trailers as lines, and the gRPC status among them. Raises Malformed."""
    pseudo, headers = _split(block, most_headers)
    if pseudo:
        raise Malformed("a pseudo-header among the trailers")
    status = next((value for name, value in headers if name == b"grpc-status"), None)
    kept = [b"%b: %b\r\n" % pair for pair in headers if pair[0] not in _ENDING_HERE and pair[0] not in NOT_AS_TRAILER]
    return tuple(kept), grpc_status.parse(status)


def pairs_of(lines: Iterable[bytes]) -> Pairs:
    """Return header lines as pairs with lower-case names."""
    pairs: Pairs = []
    for line in lines:
        name, _, value = line.partition(b":")
        pairs.append((name.lower(), value.strip()))
    return pairs


def _split(block: Iterable[tuple[bytes, bytes]], most: int) -> tuple[dict[bytes, bytes], Pairs]:
    """Return the pseudo-headers, and the other headers checked. Raises Malformed."""
    pseudo: dict[bytes, bytes] = {}
    headers: Pairs = []
    for name, value in block:
        if name[:1] == b":":
            if headers or name in pseudo:
                raise Malformed("a pseudo-header twice or too late")
            pseudo[name] = value
        elif not _NAME(name) or not _VALUE(value):
            raise Malformed("a header that HTTP does not allow")
        elif name in _OF_A_CONNECTION or (name == b"te" and value.lower() != b"trailers"):
            raise Malformed("a header of one connection")
        else:
            headers.append((name, value))
    if len(headers) > most:
        raise Refused(431, "too many headers")
    return pseudo, headers


_ONCE = frozenset((b"host", b"content-length", b"traceparent", b"te", b"expect"))
_OF_THE_PROXY = _ONCE | b3.NAMES | {b"tracestate", b"trailer", CALLER}
_NOTED = frozenset((b"content-type", b"retry-after", b"grpc-status"))


def _lines(headers: Pairs, *, response: bool = False) -> tuple[list[bytes], dict[bytes, bytes]]:
    """Return the lines that go on, and the values that mean something to the proxy. Raises Malformed."""
    lines: list[bytes] = []
    special: dict[bytes, bytes] = {}
    cookie = b""
    for name, value in headers:
        if name == b"cookie" and not response:
            cookie = b"%b; %b" % (cookie, value) if cookie else value  # HTTP/2 may split it, HTTP/1.1 may not
        elif name in _OF_THE_PROXY and (not response or name in (b"content-length", b"te", b"trailer")):
            if name in special:
                if name in _ONCE and special[name] != value:
                    raise Malformed("a header twice")
                value = special[name] + b"," + value if name == b"tracestate" else value
            special[name] = value
        else:
            lines.append(b"%b: %b\r\n" % (name, value))
            if name in _NOTED:
                special[name] = value
    if cookie:
        lines.append(b"cookie: %b\r\n" % cookie)
    return lines, special


def _host(authority: bytes | None, host: bytes | None) -> bytes:
    if authority is not None and host is not None and authority.lower() != host.lower():
        raise Malformed("two hosts")
    found = authority if authority is not None else host
    if not found or not _AUTHORITY(found):
        raise Malformed("no host")
    return found


def _length(value: bytes | None) -> bytes | None:
    if value is not None and (not value.isdigit() or len(value) > 19):
        raise Malformed("not a length")
    return value
