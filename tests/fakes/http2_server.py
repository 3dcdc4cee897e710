"""A scripted HTTP/2 endpoint: it collects whole requests and does with each what a test tells it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded, StreamReset, TrailersReceived
from h2.settings import SettingCodes, Settings

from tests.fakes.http_peers import listening


@dataclass
class Asked:
    """A whole request on its stream."""

    connection: "Served"
    stream_id: int
    headers: dict[str, str]
    body: bytes = b""
    trailers: dict[str, str] = field(default_factory=dict)

    def invite(self) -> None:
        self.connection.h2.send_headers(self.stream_id, [(":status", "100")])
        self.connection.flush()

    def answer(self, body: bytes = b"ok", status: int = 200, trailers: dict[str, str] | None = None) -> None:
        h2 = self.connection.h2
        h2.send_headers(self.stream_id, [(":status", str(status))])
        h2.send_data(self.stream_id, body, end_stream=trailers is None)
        if trailers is not None:
            h2.send_headers(self.stream_id, list(trailers.items()), end_stream=True)
        self.connection.flush()

    def reset(self, code: int) -> None:
        self.connection.h2.reset_stream(self.stream_id, code)
        self.connection.flush()


@dataclass
class Served:
    """One connection as the server has it."""

    h2: H2Connection
    writer: asyncio.StreamWriter
    number: int

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())


@dataclass
class Http2Server:
    """``on_request`` is called with each whole request."""

    on_request: Callable[[Asked], None]
    most_streams: int = 100
    on_head: Callable[[Asked], None] = lambda _: None
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    resets: int = 0
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        h2 = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        h2.local_settings = Settings(client=False, initial_values={SettingCodes.MAX_CONCURRENT_STREAMS: self.most_streams})
        h2.initiate_connection()
        served, streams = Served(h2, writer, self.connections), dict[int, Asked]()
        served.flush()
        while data := await reader.read(65536):
            for event in h2.receive_data(data):
                if type(event) is RequestReceived:
                    streams[event.stream_id] = Asked(served, event.stream_id, dict(event.headers))
                    self.on_head(streams[event.stream_id])
                elif type(event) is DataReceived:
                    streams[event.stream_id].body += event.data
                    h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif type(event) is TrailersReceived:
                    streams[event.stream_id].trailers = dict(event.headers)
                elif type(event) is StreamReset:
                    self.resets += 1
                elif type(event) is StreamEnded:
                    self.asked.append(streams[event.stream_id])
                    self.on_request(streams[event.stream_id])
            served.flush()


@asynccontextmanager
async def http2_server(on_request: Callable[[Asked], None] = Asked.answer, **options: int) -> AsyncIterator[Http2Server]:
    """Run a server on a free port."""
    running = Http2Server(on_request, **options)
    async with listening(running.serve) as running.port:
        yield running
