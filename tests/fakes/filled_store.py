"""Fills a store with telemetry whose numbers a test knows: spans, events and metrics as OTLP, edges as they are settled."""

import time
from collections.abc import Iterable, Mapping
from uuid import uuid4

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from storage.telemetry.engine import Engine
from tests.fakes.spans import Span, request

# A whole hour that has passed: nothing in it is too old to be kept, and every grid fits.
HOUR = float(int(time.time()) // 3600 * 3600 - 3600)


def spans(engine: Engine, *given: Span) -> None:
    engine.insert("traces", [request(given)], uuid4().hex)


def metrics(engine: Engine, service: str, *given: Metric) -> None:
    message = ExportMetricsServiceRequest()
    resource = message.resource_metrics.add()
    resource.resource.attributes.append(_text("service.name", service))
    resource.scope_metrics.add().metrics.extend(given)
    engine.insert("metrics", [message.SerializeToString()], uuid4().hex)


def gauge(name: str, *values: float, since: float = HOUR + 1000, unit: str = "1", series: str = "") -> Metric:
    """Return a gauge with a value each second."""
    metric = Metric(name=name, unit=unit)
    for number, value in enumerate(values):
        point = metric.gauge.data_points.add(as_double=value, time_unix_nano=round((since + number) * 1e9))
        point.attributes.append(_text("series", series))
    return metric


def edge(
    engine: Engine,
    source: str,
    destination: str,
    *,
    minute: float,
    ms: Iterable[float],
    errors: int = 0,
    retries: int = 0,
    paired: int = 0,
    versions: tuple[str, str] = ("", ""),
    hops: Mapping[int, tuple[int, float]] | None = None,
    slowest: str = "",
    failed: str = "",
) -> None:
    """Write one minute of an edge; no ``ms`` is a tombstone. ``hops`` are (calls, milliseconds in all) by place, 0 to 3."""
    seen = [(hops or {}).get(place, (0, 0.0)) for place in range(4)]
    ms = list(ms)
    engine.command(
        """
        INSERT INTO edges_1m (minute, source, destination, source_version, destination_version, calls, errors, retries, paired,
            duration_ns, latency, hop_ns, hop_calls, slowest_ns, slowest_trace, failed_trace, computed)
        SELECT toDateTime({minute:UInt32}), {source:String}, {destination:String}, {sv:String}, {dv:String}, count(),
            {errors:UInt64}, {retries:UInt64}, {paired:UInt64}, sum(ns), quantilesDDState(0.01, 0.5, 0.95, 0.99)(ns),
            {hop_ns:Array(UInt64)}, {hop_calls:Array(UInt64)}, max(ns), toFixedString(unhex({slowest:String}), 16),
            toFixedString(unhex({failed:String}), 16), now64(3)
        FROM (SELECT toUInt64(arrayJoin({ms:Array(Float64)}) * 1e6) AS ns)
        """,
        {"minute": int(minute), "source": source, "destination": destination, "sv": versions[0], "dv": versions[1]}
        | {"errors": errors, "retries": retries, "paired": paired, "ms": ms}
        | {"hop_ns": [round(spent * 1e6) for _, spent in seen], "hop_calls": [calls for calls, _ in seen]}
        | {"slowest": slowest, "failed": failed},
    )


def event(
    engine: Engine,
    kind: str,
    action: str,
    *,
    at: float,
    source: str = "payments",
    destination: str = "ledger",
    target: str = "ledger-node",
    instance: str = "payments-1",
    enforced: bool = True,
    reason: str = "",
    endpoint: str = "",
    numbers: dict[str, float] | None = None,
    trace_id: bytes = b"",
) -> None:
    """Log one mesh event the way that the companion proxy does."""
    message = ExportLogsServiceRequest()
    logs = message.resource_logs.add()
    resource = {"service.name": source, "service.instance.id": instance, "mesh.name": "shop"}
    logs.resource.attributes.extend([_text(key, value) for key, value in resource.items()])
    record = logs.scope_logs.add().log_records.add(
        time_unix_nano=round(at * 1e9),
        event_name=f"mesh.{kind}",
        severity_number=13,
        trace_id=trace_id,  # type: ignore[arg-type]
    )
    texts = {"event.action": action, "source": source, "destination": destination, "target": target, "endpoint": endpoint}
    record.attributes.extend([_text(f"mesh.{key}", value) for key, value in (texts | {"event.reason": reason}).items()])
    record.attributes.add(key="mesh.event.enforced").value.bool_value = enforced
    for key, number in (numbers or {}).items():
        record.attributes.add(key=f"mesh.event.{key}").value.double_value = number
    engine.insert("logs", [message.SerializeToString()], uuid4().hex)


def _text(key: str, value: str) -> KeyValue:
    pair = KeyValue(key=key)
    pair.value.string_value = value
    return pair
