"""The demo's applications: each a small HTTP service, instrumented with opentelemetry-sdk, that knows nothing of the mesh.

All run in one process, each on a port and with a tracer of its own; they call each other through their proxies only.
"""

import asyncio
import itertools
import random
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import msgspec
from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cli.demo.plan import FAILS_EVERY_S, FAILS_FOR_S, FAILS_FROM_S, Node
from cli.servers import HttpServer
from core.clock import Clock, SystemClock

WORK_MS = {"gateway": 2, "accounts": 4, "payments": 8, "fraud": 12, "ledger": 5, "notifications": 3}
SLOWER = {"v2": 4.0}


@dataclass(slots=True)
class Sent:
    """How many spans the collector has taken from the applications."""

    spans: int = 0


class CountingExporter(OTLPSpanExporter):
    """Counts the spans that were taken, after they were."""

    def __init__(self, endpoint: str, sent: Sent) -> None:
        super().__init__(endpoint=f"{endpoint}/v1/traces")
        self._sent = sent

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans."""
        result = super().export(spans)
        if result is SpanExportResult.SUCCESS:
            self._sent.spans += len(spans)
        return result


class App:
    """One application: takes a request, works a while, calls the services that it needs, answers."""

    def __init__(self, node: Node, tracer: Tracer, client: httpx.AsyncClient, clock: Clock) -> None:
        self._node, self._tracer, self._client, self._clock = node, tracer, client, clock
        self._started = clock.monotonic()
        self._rng = random.Random(node.name)

    async def serve(self, request: Request) -> Response:
        """Answer one request."""
        name = f"{request.method} {_route(request.url.path)}"
        with self._tracer.start_as_current_span(name, context=propagate.extract(request.headers), kind=SpanKind.SERVER) as span:
            span.set_attributes({"http.request.method": request.method, "http.route": _route(request.url.path)})
            status = await self._work(request.url.path)
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(Status(StatusCode.ERROR))
            return JSONResponse({"service": self._node.service, "version": self._node.version}, status_code=status)

    async def _work(self, path: str) -> int:
        milliseconds = WORK_MS[self._node.service] * SLOWER.get(self._node.version, 1.0) * self._rng.lognormvariate(0, 0.4)
        await self._clock.sleep(milliseconds / 1000)
        if self._node.service == "ledger" and self._failing():
            return 500
        for callee in _callees(self._node, path):
            if await self._call(callee, "POST" if callee == "notifications" else "GET", f"/{callee}") >= 500:
                return 502
        return 200

    async def _call(self, service: str, method: str, path: str) -> int:
        with self._tracer.start_as_current_span(f"{method} {path}", kind=SpanKind.CLIENT) as span:
            headers = {"host": service}
            propagate.inject(headers)
            span.set_attributes({"http.request.method": method, "server.address": service})
            response = await self._client.request(method, path, headers=headers)
            span.set_attribute("http.response.status_code", response.status_code)
            if response.status_code >= 400:
                span.set_status(Status(StatusCode.ERROR))
            return response.status_code

    def _failing(self) -> bool:
        return FAILS_FROM_S <= (self._clock.monotonic() - self._started) % FAILS_EVERY_S < FAILS_FROM_S + FAILS_FOR_S


async def serve(nodes: Sequence[Node], otlp_endpoint: str, control_port: int) -> None:
    """Serve every application until SIGTERM; ``/sent`` on the control port flushes and tells how many spans were taken."""
    clock, sent = SystemClock(), Sent()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    providers: list[TracerProvider] = []
    async with AsyncExitStack() as stack:
        for node in nodes:
            provider = TracerProvider(
                resource=Resource.create(
                    {"service.name": node.service, "service.version": node.version, "service.instance.id": f"{node.name}-app"}
                )
            )
            provider.add_span_processor(BatchSpanProcessor(CountingExporter(otlp_endpoint, sent), schedule_delay_millis=1000))
            providers.append(provider)
            client = await stack.enter_async_context(
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{node.egress_port}", timeout=10)
            )
            app = App(node, provider.get_tracer("meshscope.demo"), client, clock)
            await _start(stack, Starlette(routes=[Route("/{rest:path}", app.serve, methods=["GET", "POST"])]), node.app_port)

        async def tell(_: Request) -> Response:
            for provider in providers:
                await asyncio.to_thread(provider.force_flush)
            return Response(msgspec.json.encode({"spans": sent.spans}), media_type="application/json")

        await _start(stack, Starlette(routes=[Route("/sent", tell)]), control_port)
        await stopping.wait()
    for provider in providers:
        await asyncio.to_thread(provider.shutdown)


async def _start(stack: AsyncExitStack, app: Starlette, port: int) -> None:
    server = HttpServer(app, "127.0.0.1", port, name="demo", lifespan=False)
    stack.push_async_callback(server.stop, 2.0)
    await server.start()


def _route(path: str) -> str:
    return "/" + "/".join(itertools.islice(path.split("/"), 1, 2))


def _callees(node: Node, path: str) -> tuple[str, ...]:
    """The gateway calls what the path names; every other service calls all that it needs."""
    if node.service != "gateway":
        return node.calls
    return tuple(service for service in node.calls if path.startswith(f"/{service}"))
