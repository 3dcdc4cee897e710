"""What comes as HTTP/2 and goes on as HTTP/1.1 must not become two requests: the tricks, put to real Envoy, nginx and ours.

All are asked once, when the first test begins; the tests judge what came of it.
"""

import socket
import struct
from dataclasses import dataclass

import pytest
from hpack import Decoder, Encoder

from tests.fakes.fronts import OURS, fronts
from tests.fakes.raw_backend import Message, RawBackend, raw_backend

Headers = list[tuple[bytes, bytes]]
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS, PADDED, PRIORITY = 1, 4, 8, 32
PATIENCE_S = 5.0
EVIL = b"a\r\n\r\nGET /evil HTTP/1.1\r\nHost: api.local\r\n\r\n"


def request(*more: tuple[bytes, bytes], method: bytes = b"GET", path: bytes = b"/", authority: bytes = b"api.local") -> Headers:
    """The headers of a request."""
    return [(b":method", method), (b":scheme", b"http"), (b":path", path), (b":authority", authority), *more]


def without(name: bytes, *more: tuple[bytes, bytes]) -> Headers:
    """The headers of a request that lacks a pseudo-header."""
    return [pair for pair in request(*more) if pair[0] != name]


PLAIN: dict[str, tuple[Headers, bytes]] = {
    "get": (request(), b""),
    "body": (request(method=b"POST"), b"abc"),
    "body-with-length": (request((b"content-length", b"3"), method=b"POST"), b"abc"),
    "te-trailers": (request((b"te", b"trailers")), b""),
    "cookies-apart": (request((b"cookie", b"a=1"), (b"cookie", b"b=2")), b""),
}
TRICKS: dict[str, tuple[Headers, bytes]] = {
    # what HTTP/1.1 frames by
    "length-too-short": (request((b"content-length", b"0"), method=b"POST"), EVIL),
    "length-too-long": (request((b"content-length", b"99"), method=b"POST"), b"abc"),
    "lengths-differ": (request((b"content-length", b"3"), (b"content-length", b"4"), method=b"POST"), b"abc"),
    "length-no-number": (request((b"content-length", b"+3"), method=b"POST"), b"abc"),
    "length-without-body": (request((b"content-length", b"44")), b""),
    "transfer-encoding": (request((b"transfer-encoding", b"chunked"), method=b"POST"), b"0\r\n\r\n" + EVIL[5:]),
    "transfer-encoding-upper-case": (request((b"Transfer-Encoding", b"chunked"), method=b"POST"), b"0\r\n\r\n"),
    # line ends
    "line-end-in-value": (request((b"x-a", EVIL)), b""),
    "lf-in-value": (request((b"x-a", b"a\nx-b: c")), b""),
    "cr-in-value": (request((b"x-a", b"a\rb")), b""),
    "nul-in-value": (request((b"x-a", b"a\x00b")), b""),
    "line-end-in-name": (request((b"x-a: b\r\nx-c", b"d")), b""),
    "line-end-in-path": (request(path=b"/ HTTP/1.1\r\nHost: api.local\r\n\r\nGET /evil"), b""),
    "line-end-in-method": (request(method=b"GET /evil HTTP/1.1\r\nHost: api.local\r\n\r\nGET"), b""),
    "line-end-in-authority": (request(authority=b"api.local\r\nx-evil: 1"), b""),
    "line-end-in-cookie": (request((b"cookie", b"a=1\r\nx-evil: 1")), b""),
    # the request line
    "space-in-path": (request(path=b"/a HTTP/1.1"), b""),
    "space-in-method": (request(method=b"GET /evil"), b""),
    "path-empty": (request(path=b""), b""),
    "path-without-slash": (request(path=b"evil"), b""),
    "path-with-fragment": (request(path=b"/a#b"), b""),
    "path-climbs-out": (request(path=b"/a/../../b"), b""),
    "method-missing": (without(b":method"), b""),
    "path-missing": (without(b":path"), b""),
    "scheme-missing": (without(b":scheme"), b""),
    "method-twice": (request((b":method", b"POST")), b""),
    "path-twice": (request((b":path", b"/evil")), b""),
    "authority-twice": (request((b":authority", b"evil.local")), b""),
    "pseudo-after-header": ([*without(b":path"), (b"x-a", b"b"), (b":path", b"/")], b""),
    "pseudo-unknown": (request((b":evil", b"1")), b""),
    "pseudo-of-answers": (request((b":status", b"200")), b""),
    # Host
    "host-differs": (request((b"host", b"evil.local")), b""),
    "host-twice": (without(b":authority", (b"host", b"api.local"), (b"host", b"evil.local")), b""),
    "no-host": (without(b":authority"), b""),
    "authority-with-path": (request(authority=b"api.local/evil"), b""),
    "authority-with-user": (request(authority=b"api.local@evil.local"), b""),
    "authority-with-space": (request(authority=b"api.local evil.local"), b""),
    # headers
    "name-upper-case": (request((b"X-A", b"b")), b""),
    "name-empty": (request((b"", b"b")), b""),
    "name-with-space": (request((b"x a", b"b")), b""),
    "name-with-colon": (request((b"x:a", b"b")), b""),
    "connection": (request((b"connection", b"x-a"), (b"x-a", b"b")), b""),
    "connection-names-host": (request((b"connection", b"host")), b""),
    "keep-alive": (request((b"keep-alive", b"1")), b""),
    "proxy-connection": (request((b"proxy-connection", b"close")), b""),
    "upgrade": (request((b"upgrade", b"websocket")), b""),
    "te-other": (request((b"te", b"chunked")), b""),
}


@dataclass(frozen=True)
class Outcome:
    """The status of the answer (0: the stream or the connection was reset), and what the backend got."""

    status: int
    messages: tuple[Message, ...]
    doubts: tuple[str, ...]

    @property
    def refused(self) -> bool:
        return self.status != 200


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Outcome]]:
    """What became of each trick, by proxy and name."""
    with raw_backend() as backend, fronts(tmp_path_factory.mktemp("proxies"), backend.port, http2=True) as ports:
        return {
            who: {name: put(port, *asked, backend) for name, asked in (PLAIN | TRICKS).items()} for who, port in ports.items()
        }


@pytest.mark.parametrize("side", OURS)
@pytest.mark.parametrize("name", PLAIN)
def test_what_there_is_nothing_to_say_against_is_one_request(
    outcomes: dict[str, dict[str, Outcome]], name: str, side: str
) -> None:
    found = outcomes[side][name]
    assert (found.status, found.doubts, [message.body for message in found.messages]) == (200, (), [PLAIN[name][1]])


@pytest.mark.parametrize("side", OURS)
@pytest.mark.parametrize("name", TRICKS)
def test_a_trick_is_one_request_or_none(outcomes: dict[str, dict[str, Outcome]], name: str, side: str) -> None:
    found = outcomes[side][name]
    assert not found.doubts, "the backend must get nothing that could be read in two ways"
    assert len(found.messages) == (found.status == 200)
    assert not any(b"evil" in message.line for message in found.messages)


@pytest.mark.parametrize("side", OURS)
@pytest.mark.parametrize("name", TRICKS)
def test_where_envoy_or_nginx_refuses_ours_refuses(outcomes: dict[str, dict[str, Outcome]], name: str, side: str) -> None:
    others = [who for who in ("envoy", "nginx") if outcomes[who][name].refused]
    if others:
        assert outcomes[side][name].refused, f"{others} refuse it, ours answered {outcomes[side][name]}"


def test_the_others_are_asked_for_real(outcomes: dict[str, dict[str, Outcome]]) -> None:
    for who in ("envoy", "nginx"):
        assert outcomes[who]["get"].status == outcomes[who]["body"].status == 200
        assert sum(outcomes[who][name].refused for name in TRICKS) > len(TRICKS) / 2


def put(port: int, headers: Headers, body: bytes, backend: RawBackend) -> Outcome:
    """Send one request on a new connection; return what came of it."""
    backend.forget()
    encoder = Encoder()
    block = b"".join(encoder.encode([pair], huffman=False) for pair in headers)
    asked = frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), block) + (frame(DATA, END_STREAM, body) if body else b"")
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(PATIENCE_S)
        client.sendall(PREFACE + frame(SETTINGS, 0, b"", stream=0) + asked)
        status = answer(client)
    return Outcome(status, tuple(backend.messages), tuple(backend.doubts))


def answer(client: socket.socket) -> int:
    """Return the status of the first answer; 0 when the stream or the connection was reset."""
    received, decoder = b"", Decoder()
    while True:
        while len(received) >= 9 and len(received) >= 9 + (size := int.from_bytes(received[:3])):
            kind, flags, payload = received[3], received[4], received[9 : 9 + size]
            received = received[9 + size :]
            if kind in (RST_STREAM, GOAWAY):
                return 0
            if kind == HEADERS:
                assert not flags & (PADDED | PRIORITY)
                return int(dict(decoder.decode(payload))[":status"])
        try:
            data = client.recv(65536)
        except ConnectionError:
            return 0
        if not data:
            return 0
        received += data


def frame(kind: int, flags: int, payload: bytes, stream: int = 1) -> bytes:
    """Return a frame."""
    return struct.pack(">BHBBI", len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload
