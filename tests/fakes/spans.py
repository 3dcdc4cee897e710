"""Builds traces as OTLP bytes, span by span, the way that applications and proxies would send them."""

import random
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

INTERNAL, SERVER, CLIENT = 1, 2, 3
_RNG = random.Random(7)


def reseed(seed: int) -> None:
    """Begin the sequence of ids anew."""
    _RNG.seed(seed)


@dataclass(slots=True)
class Span:
    service: str
    kind: int
    parent: "Span | None" = None
    name: str = "GET /"
    version: str = ""
    zone: str = ""
    error: bool = False
    milliseconds: float = 10.0
    at: float = field(default_factory=time.time)
    attributes: dict[str, str | int | float | bool] = field(default_factory=dict)
    trace_id: bytes = b""
    span_id: bytes = field(default_factory=lambda: _RNG.randbytes(8))

    def __post_init__(self) -> None:
        self.trace_id = self.parent.trace_id if self.parent else self.trace_id or _RNG.randbytes(16)


def proxied(span: Span, direction: str = "") -> Span:
    """Mark a span as a proxy's."""
    span.attributes["component"] = "proxy"
    if direction:
        span.attributes["mesh.direction"] = direction
    return span


def request(spans: Iterable[Span]) -> bytes:
    """Return one ExportTraceServiceRequest that holds the spans, grouped by resource."""
    by_resource: dict[tuple[str, str, str], list[Span]] = defaultdict(list)
    for span in spans:
        by_resource[span.service, span.version, span.zone].append(span)
    message = ExportTraceServiceRequest()
    for (service, version, zone), group in by_resource.items():
        resource_spans = message.resource_spans.add()
        resource_spans.resource.attributes.extend([_attribute("service.name", service), _attribute("service.version", version)])
        if zone:
            resource_spans.resource.attributes.append(_attribute("cloud.availability_zone", zone))
        resource_spans.scope_spans.add().spans.extend(_otlp(span) for span in group)
    return message.SerializeToString()


def _otlp(span: Span) -> OtlpSpan:
    start = int(span.at * 1e9)
    otlp = OtlpSpan(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent.span_id if span.parent else b"",
        name=span.name,
        kind=span.kind,  # type: ignore[arg-type]
        start_time_unix_nano=start,
        end_time_unix_nano=start + int(span.milliseconds * 1e6),
        attributes=[_attribute(key, value) for key, value in span.attributes.items()],
    )
    otlp.status.code = 2 if span.error else 0  # type: ignore[assignment]
    return otlp


def _attribute(key: str, value: str | float | bool) -> KeyValue:
    pair = KeyValue(key=key)
    match value:
        case bool():
            pair.value.bool_value = value
        case int():
            pair.value.int_value = value
        case float():
            pair.value.double_value = value
        case str():
            pair.value.string_value = value
    return pair
