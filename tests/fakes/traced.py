"""Two applications instrumented with opentelemetry-sdk: one calls, one answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, format_trace_id


def provider(service: str, exporter: SpanExporter) -> TracerProvider:
    traced = TracerProvider(resource=Resource.create({"service.name": service, "service.version": "v1"}))
    traced.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=200))
    return traced


class Caller:
    """Calls URLs, each within a CLIENT span that travels in `traceparent`."""

    def __init__(self, service: str, traces_url: str) -> None:
        self._provider = provider(service, OTLPSpanExporter(endpoint=traces_url))
        self._tracer = self._provider.get_tracer("tests")
        self._client = httpx.Client(timeout=10)

    def call(self, url: str, host: str) -> tuple[int, str]:
        """Return the status and the trace id."""
        with self._tracer.start_as_current_span("GET", kind=SpanKind.CLIENT) as span:
            headers = {"host": host}
            propagate.inject(headers)
            return self._client.get(url, headers=headers).status_code, format_trace_id(span.get_span_context().trace_id)

    def close(self) -> None:
        self._client.close()
        self._provider.shutdown()


@contextmanager
def answering(service: str, traces_url: str, port: int = 0) -> Iterator[int]:
    """Answer every GET with 200, within a SERVER span; yield the port."""
    traced = provider(service, OTLPSpanExporter(endpoint=traces_url))
    tracer = traced.get_tracer("tests")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with tracer.start_as_current_span("GET", context=propagate.extract(dict(self.headers)), kind=SpanKind.SERVER):
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join(10)
    traced.shutdown()
