"""A request that is refused in part is answered so, at every door and for every signal; what was not refused is stored."""

import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from core.wire import inside
from tests.fakes.processes import Meshscope

PROTOBUF = {"content-type": "application/x-protobuf; charset=utf-8"}
JSON = {"content-type": "Application/JSON;charset=UTF-8"}
UNREADABLE_RECORD = inside((1, 2, 2), inside((3,), b"\xff"))


def _traces(trace_id: bytes) -> Message:
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "partly"
    spans, now = group.scope_spans.add().spans, time.time_ns()
    spans.add(trace_id=trace_id, span_id=b"12345678", name="kept", start_time_unix_nano=now, end_time_unix_nano=now + 1)
    spans.add(trace_id=trace_id, span_id=bytes(8), name="refused", start_time_unix_nano=now, end_time_unix_nano=now + 1)
    return message


def _metrics() -> Message:
    message = ExportMetricsServiceRequest()
    points = message.resource_metrics.add().scope_metrics.add().metrics.add(name="partly").gauge.data_points
    points.add(time_unix_nano=time.time_ns(), as_int=1)
    points.add(time_unix_nano=time.time_ns())
    points.add(time_unix_nano=time.time_ns())
    return message


def _logs() -> bytes:
    message = ExportLogsServiceRequest()
    message.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=time.time_ns()).body.string_value = "kept"
    return message.SerializeToString() + UNREADABLE_RECORD


def _over_http(meshscope: Meshscope, signal: str, body: bytes, answer: Any) -> Any:
    response = httpx.post(meshscope.url_of(signal), content=body, headers=PROTOBUF, timeout=60)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/x-protobuf")
    return answer.FromString(response.content)


def _over_grpc(meshscope: Meshscope, signal: str, body: bytes, answer: Any) -> Any:
    service = {"traces": "trace.v1.Trace", "logs": "logs.v1.Logs", "metrics": "metrics.v1.Metrics"}[signal]
    with grpc.insecure_channel(f"127.0.0.1:{meshscope.otlp_grpc}") as channel:
        call = channel.unary_unary(f"/opentelemetry.proto.collector.{service}Service/Export")
        return answer.FromString(call(body, timeout=60, compression=grpc.Compression.Gzip))


DOORS = pytest.mark.parametrize("door", [_over_http, _over_grpc], ids=["http", "grpc"])
Door = Callable[[Meshscope, str, bytes, Any], Any]


@DOORS
def test_spans(meshscope: Meshscope, door: Door) -> None:
    trace_id = secrets.token_bytes(16)
    said = door(meshscope, "traces", _traces(trace_id).SerializeToString(), ExportTraceServiceResponse)
    assert said.partial_success.rejected_spans == 1
    assert said.partial_success.error_message.startswith("1 of 2 spans were refused: span_id must have 8 bytes")
    assert [span["name"] for span in meshscope.get(f"traces/{trace_id.hex()}")["spans"]] == ["kept"]


@DOORS
def test_log_records(meshscope: Meshscope, door: Door) -> None:
    said = door(meshscope, "logs", _logs(), ExportLogsServiceResponse)
    assert said.partial_success.rejected_log_records == 1
    assert "1 of 2 log records were refused: not a protobuf" in said.partial_success.error_message


@DOORS
def test_data_points(meshscope: Meshscope, door: Door) -> None:
    said = door(meshscope, "metrics", _metrics().SerializeToString(), ExportMetricsServiceResponse)
    assert said.partial_success.rejected_data_points == 2
    assert said.partial_success.error_message.startswith("2 of 3 data points were refused: a data point needs a value")


def test_json(meshscope: Meshscope) -> None:
    trace_id = secrets.token_bytes(16)
    content = json_format.MessageToDict(_traces(trace_id))
    spans = content["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for span, span_id in zip(spans, ("0102030405060708", "123"), strict=True):
        span.update(traceId=trace_id.hex(), spanId=span_id)
    answer = httpx.post(meshscope.traces_url, content=json.dumps(content), headers=JSON, timeout=60)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    said = answer.json()["partialSuccess"]
    assert said["rejectedSpans"] == "1"  # a 64-bit number is text in protobuf's JSON
    assert "16 hex digits in JSON" in said["errorMessage"]
    assert [span["name"] for span in meshscope.get(f"traces/{trace_id.hex()}")["spans"]] == ["kept"]
    points = httpx.post(
        meshscope.url_of("metrics"), content=json.dumps(json_format.MessageToDict(_metrics())), headers=JSON, timeout=60
    )
    assert points.json()["partialSuccess"]["rejectedDataPoints"] == "2"
