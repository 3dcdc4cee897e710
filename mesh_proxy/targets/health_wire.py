"""One health check on the wire: a connection of its own, one question, one answer."""

import asyncio
from secrets import token_hex
from typing import cast

from mesh_model.resources import HealthCheck
from mesh_proxy.tls.ends import ClientEnd

MOST_BYTES = 65_536
"""Of an answer; what is longer is not waited for."""
AGENT = "Meshscope/HC"


async def is_well(address: str, spec: HealthCheck, tls: ClientEnd | None) -> bool:
    """Ask the endpoint: http and http2 are well with 200, grpc when it serves, tcp when it takes the connection."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    kind = _kind(spec.protocol)

    def ask(_: str | None = None) -> Question:
        return kind(answer, address, spec.path)

    question: Question | None = None
    try:
        async with asyncio.timeout(spec.timeout_s):
            where = host.strip("[]"), spec.port or int(port)
            if tls is None:
                _, question = await loop.create_connection(ask, *where)
            else:
                question = await tls.connect(*where, ask)
            return await answer
    except OSError:  # TimeoutError, too
        return False
    finally:
        if question is not None:
            question.transport.abort()


class Question(asyncio.Protocol):
    """Asked as soon as there is a connection; ``answer`` is resolved once. This one is content with the connection (tcp)."""

    transport: asyncio.Transport

    def __init__(self, answer: "asyncio.Future[bool]", authority: str, path: str) -> None:
        self._answer, self._authority, self._path = answer, authority, path

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """There will be no answer."""
        self.resolve(well=False)

    def ask(self) -> None:
        """Send the question."""
        self.resolve(well=True)

    def resolve(self, *, well: bool) -> None:
        """Settle the answer, if it is not."""
        if not self._answer.done():
            self._answer.set_result(well)


class HttpQuestion(Question):
    """GET over HTTP/1.1."""

    _received = b""

    def ask(self) -> None:
        """Send the request."""
        lines = (f"GET {self._path} HTTP/1.1", f"host: {self._authority}", *question_headers(), "connection: close", "", "")
        self.transport.write("\r\n".join(lines).encode())

    def data_received(self, data: bytes) -> None:
        """Read the status line."""
        self._received += data
        line, end, _ = self._received.partition(b"\r\n")
        if end or len(line) > MOST_BYTES:
            self.resolve(well=line.startswith((b"HTTP/1.1 200 ", b"HTTP/1.0 200 ")) or line == b"HTTP/1.1 200")


def question_headers() -> tuple[str, str]:
    """Return what all questions say: who asks, and that nobody need record it."""
    return f"user-agent: {AGENT}", f"traceparent: 00-{token_hex(16)}-{token_hex(8)}-00"


def _kind(protocol: str) -> type[Question]:
    """Return the question for a protocol; HTTP/2 is loaded by who asks in it."""
    if protocol in ("http2", "grpc"):
        from mesh_proxy.targets.health_wire_http2 import GrpcQuestion, Http2Question  # noqa: PLC0415

        return GrpcQuestion if protocol == "grpc" else Http2Question
    return HttpQuestion if protocol == "http" else Question
