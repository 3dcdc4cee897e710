"""Metrics of OpenTelemetry's SDK, and as JSON, are received at both doors and can be asked for."""

import time
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from tests.fakes.processes import Meshscope

DELTA = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
DOORS: dict[str, Callable[[Meshscope], MetricExporter]] = {
    "grpc": lambda to: GrpcExporter(endpoint=f"http://127.0.0.1:{to.otlp_grpc}", insecure=True, preferred_temporality=DELTA),
    "http": lambda to: HttpExporter(endpoint=f"http://127.0.0.1:{to.otlp_http}/v1/metrics"),
}


def _url(meshscope: Meshscope) -> str:
    return f"http://127.0.0.1:{meshscope.otlp_http}/v1/metrics"


def _depth(_options: CallbackOptions) -> list[Observation]:
    return [Observation(17, {"queue": "mail"})]


@pytest.mark.parametrize("door", DOORS)
def test_what_the_sdk_measures_can_be_asked_for(meshscope: Meshscope, door: str) -> None:
    service = f"measured-by-{door}"
    provider = MeterProvider(
        resource=Resource.create({"service.name": service}),
        metric_readers=[PeriodicExportingMetricReader(DOORS[door](meshscope), export_interval_millis=3_600_000)],
        views=[View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())],
    )
    meter = provider.get_meter("till")
    meter.create_observable_gauge("depth", callbacks=[_depth], unit="{job}")
    orders = meter.create_counter("orders", unit="{order}")
    orders.add(2, {"kind": "book"})
    orders.add(40, {"kind": "record"})
    meter.create_histogram("latency", unit="ms").record(12.5)
    meter.create_histogram("size", unit="By").record(300)
    meter.create_up_down_counter("open").add(-1.5)
    assert provider.force_flush(30_000)
    rows = {row.pop("name"): row for row in meshscope.get("metrics", service=service)["metrics"]}
    provider.shutdown()
    told = {name: tuple(row[key] for key in ("unit", "kind", "points", "series")) for name, row in rows.items()}
    assert told == {
        "depth": ("{job}", "gauge", 1, 1),
        "orders": ("{order}", "sum", 2, 2),
        "latency": ("ms", "histogram", 1, 1),
        "size": ("By", "exponential_histogram", 1, 1),
        "open": ("", "sum", 1, 1),
    }
    assert rows["orders"]["last_value"] in (2, 40)
    assert {name: rows[name]["last_value"] for name in ("depth", "open", "latency", "size")} == {
        "depth": 17,
        "open": -1.5,
        "latency": None,
        "size": None,
    }


def test_json_is_stored(meshscope: Meshscope) -> None:
    point: dict[str, Any] = {
        "timeUnixNano": str(time.time_ns()),
        "asInt": "7",
        "exemplars": [{"traceId": "ab" * 16, "asDouble": 1}],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "measured-in-json"}}]}
    metric = {"name": "queue", "unit": "1", "gauge": {"dataPoints": [point]}}
    body = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}
    answer = httpx.post(_url(meshscope), json=body, timeout=30)
    assert (answer.status_code, answer.json()) == (200, {})
    (row,) = meshscope.get("metrics", service="measured-in-json", name="queue")["metrics"]
    assert (row["kind"], row["points"], row["last_value"]) == ("gauge", 1, 7)


def test_what_is_no_metrics_request_is_refused_at_both_doors(meshscope: Meshscope) -> None:
    before = meshscope.get("metrics")["metrics"]
    answer = httpx.post(_url(meshscope), content=b"\x0a\xff\xff", headers={"content-type": "application/x-protobuf"}, timeout=30)
    assert answer.status_code == 400
    assert "ExportMetricsServiceRequest" in Status.FromString(answer.content).message
    method = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    with grpc.insecure_channel(f"127.0.0.1:{meshscope.otlp_grpc}") as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(method)(b"\x0a\xff\xff", timeout=30)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "ExportMetricsServiceRequest" in refused.value.details()
    assert meshscope.get("metrics")["metrics"] == before
