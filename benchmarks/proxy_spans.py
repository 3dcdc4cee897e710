"""An OTLP/HTTP receiver that counts spans: ``python -m benchmarks.proxy_spans PORT``.

``POST /v1/traces`` takes spans, ``GET /counts`` tells by service how many spans of each kind there were and how many
different traces they belong to, ``POST /forget`` starts anew.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import cast

import httptools
import uvloop
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SERVER, CLIENT = Span.SpanKind.SPAN_KIND_SERVER, Span.SpanKind.SPAN_KIND_CLIENT


class Counts:
    """What has come so far, by the resource's ``service.name``."""

    def __init__(self) -> None:
        self._kinds: dict[str, Counter[int]] = {}
        self._traces: dict[str, set[bytes]] = {}

    def take(self, body: bytes) -> None:
        """Count the spans of one request."""
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = next((pair.value.string_value for pair in group.resource.attributes if pair.key == "service.name"), "")
            kinds, traces = self._kinds.setdefault(service, Counter()), self._traces.setdefault(service, set())
            for scope in group.scope_spans:
                kinds.update(span.kind for span in scope.spans)
                traces.update(span.trace_id for span in scope.spans)

    def told(self) -> dict[str, dict[str, int]]:
        """Return the counts by service."""
        return {
            service: {"server": kinds[SERVER], "client": kinds[CLIENT], "traces": len(self._traces[service])}
            for service, kinds in self._kinds.items()
        }

    def forget(self) -> None:
        """Start anew."""
        self._kinds.clear()
        self._traces.clear()


class Receiver(asyncio.Protocol):
    """One connection."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._parser = httptools.HttpRequestParser(self)
        self._body, self._path = bytearray(), b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_body(self, piece: bytes) -> None:
        self._body += piece

    def on_message_complete(self) -> None:
        body, answer = bytes(self._body), b""
        self._body.clear()
        if self._path == b"/counts":
            answer = json.dumps(self._counts.told()).encode()
        elif self._path == b"/forget":
            self._counts.forget()
        elif self._path == b"/v1/traces":
            self._counts.take(body)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer)
        )


async def serve(port: int) -> None:
    """Receive until the process is ended."""
    counts = Counts()
    server = await asyncio.get_running_loop().create_server(lambda: Receiver(counts), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
