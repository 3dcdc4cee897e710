"""What can be stored comes in; what cannot is refused singly, and the sender is told."""

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags, Metric

from collector.admission import Limits, Malformed, TooLarge
from collector.look import PIECE
from collector.sift import admit
from core.wire import inside

LIMITS = Limits()
TRACE, SPAN = b"t" * 16, b"s" * 8
UNREADABLE = inside((5,), b"\xff\xfe")  # a name that is no UTF-8


def _request(**ids: bytes) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add(schema_url="https://example.org/1")
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    spans = group.scope_spans.add().spans
    spans.add(trace_id=TRACE, span_id=SPAN, name="first")
    spans.add(**{"trace_id": TRACE, "span_id": SPAN, "name": "second"} | ids)  # type: ignore[arg-type]
    spans.add(trace_id=TRACE, span_id=SPAN, name="third")
    return message


def test_a_good_request_is_left_as_it_is() -> None:
    body = _request().SerializeToString()
    admitted = admit("traces", body, LIMITS)
    assert admitted.body is body
    assert (admitted.items, admitted.refused, admitted.message) == (3, 0, "")


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ({"trace_id": b""}, "trace_id must have 16 bytes"),
        ({"trace_id": b"t" * 8}, "trace_id must have 16 bytes"),
        ({"trace_id": bytes(16)}, "trace_id must have 16 bytes"),
        ({"span_id": b""}, "span_id must have 8 bytes"),
        ({"span_id": bytes(8)}, "span_id must have 8 bytes"),
        ({"parent_span_id": b"p"}, "parent_span_id must have 8 bytes"),
    ],
    ids=["no trace", "short trace", "zero trace", "no span", "zero span", "short parent"],
)
def test_a_span_with_an_id_at_fault_is_refused_singly(ids: dict[str, bytes], reason: str) -> None:
    admitted = admit("traces", _request(**ids).SerializeToString(), LIMITS)
    expected = _request()
    del expected.resource_spans[0].scope_spans[0].spans[1]
    assert ExportTraceServiceRequest.FromString(admitted.body) == expected
    assert (admitted.items, admitted.refused) == (2, 1)
    assert admitted.message.startswith(f"1 of 3 spans were refused: {reason}")


def test_a_root_may_say_that_it_has_no_parent() -> None:
    spans = b"".join(inside((2,), inside((1,), TRACE) + inside((2,), SPAN) + inside((4,), parent)) for parent in (b"", bytes(8)))
    admitted = admit("traces", inside((1, 2), spans), LIMITS)
    assert (admitted.items, admitted.refused) == (2, 0)


@pytest.mark.parametrize("size", [10, PIECE + 10], ids=["small", "cut"])
def test_a_span_that_cannot_be_read_is_refused_singly(size: int) -> None:
    bad = inside((1, 2, 2), inside((1,), TRACE) + inside((2,), SPAN) + UNREADABLE + inside((9, 1), b"k" * size))
    admitted = admit("traces", _request().SerializeToString() + bad, LIMITS)
    assert (admitted.items, admitted.refused) == (3, 1)
    assert "1 of 4 spans were refused: not a protobuf opentelemetry.proto.trace.v1.Span" in admitted.message


def test_a_large_span_is_one_item() -> None:
    large = _request()
    large.resource_spans[0].scope_spans[0].spans[1].name = "x" * 3 * PIECE
    admitted = admit("traces", large.SerializeToString(), LIMITS)
    assert (admitted.items, admitted.refused) == (3, 0)


def test_when_nothing_is_left_the_request_is_refused() -> None:
    message = _request(trace_id=b"")
    del message.resource_spans[0].scope_spans[0].spans[::2]
    with pytest.raises(Malformed, match="1 of 1 spans were refused: trace_id"):
        admit("traces", message.SerializeToString(), LIMITS)


def test_a_resource_that_cannot_be_read_refuses_the_request() -> None:
    body = _request().SerializeToString() + inside((1, 1, 1, 1), b"\xff")
    with pytest.raises(Malformed, match=r"not a protobuf .*ExportTraceServiceRequest"):
        admit("traces", body, LIMITS)


def test_a_log_record_that_cannot_be_read_is_refused_singly_and_ids_are_optional() -> None:
    message = ExportLogsServiceRequest()
    records = message.resource_logs.add().scope_logs.add().log_records
    records.add(severity_text="INFO", trace_id=b"short")
    bad = inside((1, 2, 2), inside((3,), b"\xff"))
    admitted = admit("logs", message.SerializeToString() + bad, LIMITS)
    assert (admitted.items, admitted.refused) == (1, 1)
    assert "1 of 2 log records were refused" in admitted.message


def _metrics(*metrics: Metric) -> bytes:
    message = ExportMetricsServiceRequest()
    message.resource_metrics.add().scope_metrics.add().metrics.extend(metrics)
    return message.SerializeToString()


def test_a_point_without_a_value_is_refused_singly() -> None:
    gauge, total = Metric(name="gauge", unit="1"), Metric(name="total", description="a sum")
    gauge.gauge.data_points.add(as_int=7)
    gauge.gauge.data_points.add(time_unix_nano=1)
    total.sum.is_monotonic = True
    total.sum.data_points.add(as_double=0.0)
    admitted = admit("metrics", _metrics(gauge, total), LIMITS)
    del gauge.gauge.data_points[1]
    assert ExportMetricsServiceRequest.FromString(admitted.body) == ExportMetricsServiceRequest.FromString(_metrics(gauge, total))
    assert (admitted.items, admitted.refused) == (2, 1)
    assert (
        admitted.message == "1 of 3 data points were refused: a data point needs a value, or the flag that none was recorded (1)"
    )


def test_a_point_that_says_that_nothing_was_recorded_is_kept() -> None:
    gauge, histogram = Metric(name="gauge"), Metric(name="histogram")
    gauge.gauge.data_points.add(flags=DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK)
    histogram.histogram.data_points.add(count=0)
    body = _metrics(gauge, histogram)
    admitted = admit("metrics", body, LIMITS)
    assert (admitted.body, admitted.items, admitted.refused) == (body, 2, 0)


def test_a_metric_that_cannot_be_read_is_refused_with_its_points() -> None:
    good = Metric(name="good")
    good.gauge.data_points.add(as_int=1)
    bad = inside((1, 2, 2), inside((1,), b"\xff") + inside((5,), inside((1,), b"\x21" + bytes(8)) * 3))
    admitted = admit("metrics", _metrics(good) + bad, LIMITS)
    assert (admitted.items, admitted.refused) == (1, 3)


def test_limits_hold_for_a_request_with_flaws_too() -> None:
    with pytest.raises(TooLarge, match="3 items, the limit is 2"):
        admit("traces", _request(trace_id=b"").SerializeToString(), Limits(items_per_request=2))
