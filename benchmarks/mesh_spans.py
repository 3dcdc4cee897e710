"""Makes the OTLP trace requests that the proxies of a mesh would send: the same ones for the same seed."""

import random
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SERVICES = 20
HOPS = 4
SPANS_PER_REQUEST = 512
ATTRIBUTES = 12
USER_DIGITS = 5
SERVER, CLIENT = 2, 3

_NAMES = [f"service-{number:02d}" for number in range(SERVICES)]
_ROUTES = ("/pay", "/accounts", "/orders", "/login", "/search")


def requests(count: int, *, seed: int, start_ns: int) -> Iterator[bytes]:
    """Yield ``count`` serialised requests of 512 spans, each from one service; traces start after ``start_ns``, 1 ms apart.

    A trace is a chain of calls through five services: four pairs of a CLIENT and a SERVER span, so 8 spans in 5 requests.
    """
    rng = random.Random(seed)
    waiting: dict[str, list[Span]] = defaultdict(list)
    while True:
        start_ns += 1_000_000
        for service, span in _trace(rng, start_ns):
            waiting[service].append(span)
            if len(waiting[service]) == SPANS_PER_REQUEST:
                yield _request(service, waiting.pop(service))
                count -= 1
                if not count:
                    return


def _trace(rng: random.Random, start_ns: int) -> Iterator[tuple[str, Span]]:
    trace_id, parent = rng.randbytes(16), b""
    chain = rng.sample(_NAMES, HOPS + 1)
    route = rng.choice(_ROUTES)
    duration = rng.randrange(5_000_000, 500_000_000)
    failed = rng.random() < 0.02
    user = rng.randrange(10**USER_DIGITS)
    for hop, (caller, callee) in enumerate(pairwise(chain)):
        for service, kind in ((caller, CLIENT), (callee, SERVER)):
            span = Span(
                trace_id=trace_id,
                span_id=rng.randbytes(8),
                parent_span_id=parent,
                name=f"GET {route}",
                kind=kind,  # type: ignore[arg-type]
                start_time_unix_nano=start_ns,
                end_time_unix_nano=start_ns + duration,
            )
            parent = span.span_id
            for key, value in _attributes(kind, callee, route, user, 503 if failed else 200, rng).items():
                if isinstance(value, int):
                    span.attributes.add(key=key).value.int_value = value
                else:
                    span.attributes.add(key=key).value.string_value = value
            if failed:
                span.status.code = 2  # type: ignore[assignment]
            yield service, span
            start_ns += rng.randrange(100_000, 1_000_000)
            duration -= duration // 10
        failed = failed and hop < HOPS // 2


def _attributes(kind: int, callee: str, route: str, user: int, status: int, rng: random.Random) -> dict[str, str | int]:
    both: dict[str, str | int] = {
        "component": "proxy",
        "mesh.direction": "inbound" if kind == SERVER else "outbound",
        "http.request.method": "GET",
        "http.route": route,
        "url.path": f"{route}/{user:0{USER_DIGITS}}",
        "http.response.status_code": status,
        "response_flags": "-",
        "upstream_cluster.name": f"{callee}-v1",
        "server.address": f"10.0.{int(callee[-2:])}.{rng.randrange(10)}",
    }
    if kind == SERVER:
        return both | {
            "client.address": f"10.0.0.{rng.randrange(100, 200)}",
            "mesh.virtual_service": callee,
            "mesh.route": f"{callee}-default",
        }
    return both | {"server.port": 8080, "peer.service": callee, "peer.version": "v1"}


def _request(service: str, spans: list[Span]) -> bytes:
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    for key, value in (
        ("service.name", service),
        ("service.version", "v1"),
        ("service.instance.id", f"{service}-0"),
        ("mesh.name", "benchmark"),
        ("mesh.virtual_node", f"{service}-v1"),
        ("telemetry.sdk.name", "meshscope-proxy"),
    ):
        group.resource.attributes.add(key=key).value.string_value = value
    scope = group.scope_spans.add()
    scope.scope.name = "meshscope.proxy"
    scope.spans.extend(spans)
    return message.SerializeToString()
