"""Peers of the proxy for tests: a programmable HTTP/1.1 backend, a collector that decodes, a client of raw bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Received:
    """A request as a backend got it; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Reply:
    """What a backend answers. ``raw`` is sent as it is; ``cut`` closes the connection after it; ``wait`` comes first."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    chunks: Iterable[bytes] | None = None
    raw: bytes | None = None
    cut: bool = False
    wait: Callable[[], Awaitable[object]] | None = None


Answer = Callable[[Received], Reply]


async def read_message(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes] | None:
    """Return first line, headers and body of the next message; None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body, pieces = b"", list[bytes]()
    if headers.get("transfer-encoding") == "chunked":
        while size := int((await reader.readline()).partition(b";")[0], 16):
            pieces.append((await reader.readexactly(size + 2))[:-2])
        body = b"".join(pieces)
        await reader.readline()
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    return first, headers, body


@dataclass
class Backend:
    """An HTTP/1.1 server that answers as ``answer`` says, and remembers what it got."""

    answer: Answer
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (message := await read_message(reader)) is not None:
                method, target, _ = message[0].split(" ")
                request = Received(method, target, message[1], message[2])
                self.received.append(request)
                reply = self.answer(request)
                if reply.wait is not None:
                    await reply.wait()
                await self._write(writer, reply, head_only=method == "HEAD")
                if reply.cut:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass

    @staticmethod
    async def _write(writer: asyncio.StreamWriter, reply: Reply, *, head_only: bool) -> None:
        if reply.raw is not None:
            writer.write(reply.raw)
            await writer.drain()
            return
        framing = "transfer-encoding: chunked" if reply.chunks is not None else f"content-length: {len(reply.body)}"
        extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        writer.write(f"HTTP/1.1 {reply.status} X\r\n{framing}\r\n{extra}\r\n".encode())
        if head_only:
            return
        for piece in reply.chunks if reply.chunks is not None else ():
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n" if reply.chunks is not None else reply.body)
        await writer.drain()


@asynccontextmanager
async def backend(answer: Answer = lambda _: Reply()) -> AsyncIterator[Backend]:
    """Run a backend on a free port."""
    running = Backend(answer)
    async with listening(running.serve) as running.port:
        yield running


@asynccontextmanager
async def listening(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """Serve on a free port; on leaving, every connection ends."""
    tasks: set[asyncio.Task[None]] = set()

    async def remembered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(remembered, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def value_of(value: AnyValue) -> object:
    """Return an attribute's value in Python."""
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None


@dataclass
class SeenSpan:
    """A span as the collector got it."""

    span: Span
    resource: dict[str, object]

    @property
    def attributes(self) -> dict[str, object]:
        return {pair.key: value_of(pair.value) for pair in self.span.attributes}


@dataclass
class Collector:
    """Takes OTLP over HTTP and decodes it. ``status`` is its answer."""

    status: int = 200
    spans: list[SeenSpan] = field(default_factory=list)
    records: list[LogRecord] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, request: Received) -> Reply:
        if self.status == 200 and request.target == "/v1/traces":
            for group in ExportTraceServiceRequest.FromString(request.body).resource_spans:
                resource = {pair.key: value_of(pair.value) for pair in group.resource.attributes}
                assert [scope.scope.name for scope in group.scope_spans] == ["meshscope.proxy"]
                self.spans += [SeenSpan(span, resource) for scope in group.scope_spans for span in scope.spans]
        elif self.status == 200:
            for logs in ExportLogsServiceRequest.FromString(request.body).resource_logs:
                self.records += [record for scope in logs.scope_logs for record in scope.log_records]
        return Reply(self.status, b"")

    @property
    def events(self) -> list[dict[str, object]]:
        """The events' attributes with the event's name, in the order they came."""
        return [
            {"name": record.event_name} | {pair.key.removeprefix("mesh."): value_of(pair.value) for pair in record.attributes}
            for record in self.records
        ]


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """Run a collector on a free port."""
    running = Collector()
    async with backend(running.take) as server:
        running.port = server.port
        yield running


@dataclass
class Response:
    """An answer, header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(port: int, raw: bytes, *, head_only: bool = False) -> Response:
    """Send raw bytes on a new connection and return the first answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        return await answer_from(reader, head_only=head_only)
    finally:
        writer.close()


async def answer_from(reader: asyncio.StreamReader, *, head_only: bool = False) -> Response:
    """Return the next answer of a connection."""
    if head_only:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        return Response(
            int(head[0].split(" ")[1]), {line.split(":")[0].lower(): line.split(":")[1].strip() for line in head[1:-2]}, b""
        )
    message = await read_message(reader)
    assert message is not None, "the connection was closed without an answer"
    return Response(int(message[0].split(" ")[1]), message[1], message[2])


async def get(port: int, target: str, host: str = "api.local", method: str = "GET", **headers: str) -> Response:
    """Ask for one thing on a new connection; ``x_y`` in a header's name stands for ``x-y``."""
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return await ask(port, f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n".encode(), head_only=method == "HEAD")


async def until(condition: Callable[[], object], within_s: float = 60.0) -> None:
    """Wait until ``condition`` holds."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - sockets and other processes set no event for us
            await asyncio.sleep(0.005)
