import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from collector.admission import Limits, Malformed, TooLarge
from collector.receivers.otlp_json import to_protobuf
from collector.sift import admit

LIMITS = Limits()
TRACE, SPAN, PARENT = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "eee19b7ec3c1b173"


def _body(**span: Any) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()


def _span(body: bytes) -> Any:
    return ExportTraceServiceRequest.FromString(to_protobuf("traces", body, LIMITS)).resource_spans[0].scope_spans[0].spans[0]


def test_ids_are_hex_numbers_may_be_text_and_unknown_members_are_passed_over() -> None:
    span = _span(
        _body(
            traceId=TRACE,
            spanId=SPAN.upper(),
            parentSpanId=PARENT,
            name="I am a server",
            kind=2,
            startTimeUnixNano="1544712660000000000",
            attributes=[{"key": "traceId", "value": {"stringValue": "not an id"}}, {"key": "n", "value": {"intValue": "-7"}}],
            links=[{"traceId": TRACE, "spanId": SPAN}],
            somethingNew={"deep": []},
        )
    )
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN, PARENT)
    assert (span.kind, span.start_time_unix_nano) == (2, 1544712660000000000)
    assert [(each.key, each.value.string_value, each.value.int_value) for each in span.attributes] == [
        ("traceId", "not an id", 0),
        ("n", "", -7),
    ]
    assert span.links[0].span_id.hex() == SPAN


def test_every_field_of_a_span() -> None:
    values: list[tuple[dict[str, Any], AnyValue]] = [
        ({"stringValue": "é"}, AnyValue(string_value="é")),
        ({"boolValue": False}, AnyValue(bool_value=False)),
        ({"intValue": "9223372036854775807"}, AnyValue(int_value=2**63 - 1)),
        ({"intValue": -7}, AnyValue(int_value=-7)),
        ({"doubleValue": 1}, AnyValue(double_value=1)),
        ({"doubleValue": "-Infinity"}, AnyValue(double_value=float("-inf"))),
        ({"bytesValue": "AAH/"}, AnyValue(bytes_value=b"\x00\x01\xff")),
        (
            {"arrayValue": {"values": [{"intValue": "1"}, {}]}},
            AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue()])),
        ),
        (
            {"kvlistValue": {"values": [{"key": "traceId", "value": {"stringValue": "not an id"}}]}},
            AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="traceId", value=AnyValue(string_value="not an id"))])),
        ),
    ]
    attributes = [{"key": f"k{n}", "value": value} for n, (value, _) in enumerate(values)]
    span = _span(
        _body(
            traceId=TRACE,
            spanId=SPAN,
            parentSpanId=PARENT,
            traceState="a=1,b=2",
            flags=0x301,
            name="all of it",
            kind="SPAN_KIND_CLIENT",
            startTimeUnixNano=1544712660000000000,
            endTimeUnixNano="1544712661000000000",
            attributes=attributes,
            droppedAttributesCount=1,
            events=[{"timeUnixNano": "7", "name": "e", "attributes": attributes, "droppedAttributesCount": 2}],
            droppedEventsCount=3,
            links=[
                {
                    "traceId": TRACE,
                    "spanId": PARENT,
                    "traceState": "c=3",
                    "attributes": attributes,
                    "droppedAttributesCount": 4,
                    "flags": 1,
                }
            ],
            droppedLinksCount=5,
            status={"message": "broken", "code": "STATUS_CODE_ERROR"},
        )
    )
    pairs = [KeyValue(key=f"k{n}", value=value) for n, (_, value) in enumerate(values)]
    ids = {"trace_id": bytes.fromhex(TRACE)}
    assert span == OtlpSpan(
        **ids,
        span_id=bytes.fromhex(SPAN),
        parent_span_id=bytes.fromhex(PARENT),
        trace_state="a=1,b=2",
        flags=0x301,
        name="all of it",
        kind=OtlpSpan.SPAN_KIND_CLIENT,
        start_time_unix_nano=1544712660000000000,
        end_time_unix_nano=1544712661000000000,
        attributes=pairs,
        dropped_attributes_count=1,
        events=[OtlpSpan.Event(time_unix_nano=7, name="e", attributes=pairs, dropped_attributes_count=2)],
        dropped_events_count=3,
        links=[
            OtlpSpan.Link(
                **ids, span_id=bytes.fromhex(PARENT), trace_state="c=3", attributes=pairs, dropped_attributes_count=4, flags=1
            )
        ],
        dropped_links_count=5,
        status=Status(message="broken", code=Status.STATUS_CODE_ERROR),
    )


def test_resources_scopes_and_schemas_are_kept() -> None:
    content = {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}],
                    "droppedAttributesCount": 1,
                },
                "schemaUrl": "https://example.org/resource",
                "scopeSpans": [
                    {
                        "scope": {"name": "scope", "version": "2"},
                        "schemaUrl": "https://example.org/scope",
                        "spans": [{"name": "a"}, None],
                    },
                    {"scope": None, "spans": None},
                ],
            },
            {},
        ],
        "unknown": [{}],
    }
    request = ExportTraceServiceRequest.FromString(to_protobuf("traces", json.dumps(content).encode(), LIMITS))
    group = request.resource_spans[0]
    assert (len(request.resource_spans), len(group.scope_spans)) == (2, 2)
    assert (group.resource.attributes[0].value.string_value, group.resource.dropped_attributes_count) == ("shop", 1)
    assert (group.schema_url, group.scope_spans[0].schema_url) == ("https://example.org/resource", "https://example.org/scope")
    assert (group.scope_spans[0].scope.name, group.scope_spans[0].scope.version) == ("scope", "2")
    assert [span.name for span in group.scope_spans[0].spans] == ["a", ""]


def test_every_kind_of_metric() -> None:
    exemplar = {"timeUnixNano": "3", "asInt": "4", "traceId": TRACE, "spanId": SPAN, "filteredAttributes": [{"key": "k"}]}
    point = {"startTimeUnixNano": "1", "timeUnixNano": "2", "attributes": [{"key": "a", "value": {"intValue": "1"}}], "flags": 1}
    metrics = [
        {
            "name": "gauge",
            "unit": "1",
            "description": "d",
            "gauge": {"dataPoints": [point | {"asDouble": 1.5, "exemplars": [exemplar]}]},
        },
        {"name": "sum", "sum": {"dataPoints": [point | {"asInt": "-5"}], "aggregationTemporality": 2, "isMonotonic": True}},
        {
            "name": "histogram",
            "histogram": {
                "dataPoints": [
                    point | {"count": "3", "sum": 0, "min": 1, "max": 2, "bucketCounts": ["1", 2], "explicitBounds": [0.5]}
                ],
                "aggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA",
            },
        },
        {
            "name": "exponential",
            "exponentialHistogram": {
                "dataPoints": [
                    point | {"count": 3, "scale": -1, "zeroCount": "1", "positive": {"offset": 2, "bucketCounts": ["1", "1"]}}
                ]
            },
        },
        {
            "name": "summary",
            "summary": {"dataPoints": [point | {"count": 1, "sum": 2, "quantileValues": [{"quantile": 0.5, "value": 2}]}]},
        },
    ]
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()
    request = ExportMetricsServiceRequest.FromString(to_protobuf("metrics", body, LIMITS))
    gauge, total, histogram, exponential, summary = request.resource_metrics[0].scope_metrics[0].metrics
    (read,) = gauge.gauge.data_points
    assert (read.as_double, read.flags, read.attributes[0].value.int_value) == (1.5, 1, 1)
    assert (read.exemplars[0].as_int, read.exemplars[0].trace_id.hex(), read.exemplars[0].span_id.hex()) == (4, TRACE, SPAN)
    assert (total.sum.data_points[0].as_int, total.sum.aggregation_temporality, total.sum.is_monotonic) == (-5, 2, True)
    counted = histogram.histogram.data_points[0]
    assert (counted.HasField("sum"), counted.sum, counted.min, counted.max) == (True, 0, 1, 2)
    assert (list(counted.bucket_counts), list(counted.explicit_bounds)) == ([1, 2], [0.5])
    assert histogram.histogram.aggregation_temporality == 1
    wide = exponential.exponential_histogram.data_points[0]
    assert (wide.scale, wide.zero_count, wide.positive.offset, list(wide.positive.bucket_counts)) == (-1, 1, 2, [1, 1])
    assert summary.summary.data_points[0].quantile_values[0].value == 2


def test_a_log_record() -> None:
    record = {
        "timeUnixNano": "1",
        "observedTimeUnixNano": 2,
        "severityNumber": "SEVERITY_NUMBER_WARN",
        "severityText": "WARN",
        "body": {"kvlistValue": {"values": []}},
        "attributes": [{"key": "k", "value": {"stringValue": "v"}}],
        "flags": 1,
        "traceId": TRACE,
        "spanId": "no id",
        "eventName": "e",
        "droppedAttributesCount": 3,
    }
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    (read,) = ExportLogsServiceRequest.FromString(to_protobuf("logs", body, LIMITS)).resource_logs[0].scope_logs[0].log_records
    assert (read.time_unix_nano, read.observed_time_unix_nano, read.severity_number, read.severity_text) == (1, 2, 13, "WARN")
    assert (read.body.WhichOneof("value"), read.attributes[0].value.string_value, read.flags) == ("kvlist_value", "v", 1)
    assert (read.trace_id.hex(), read.span_id, read.event_name, read.dropped_attributes_count) == (TRACE, b"", "e", 3)


@pytest.mark.parametrize("ids", [{"traceId": "5b8e"}, {"traceId": 7}, {"spanId": "xyz"}, {"parentSpanId": "1"}], ids=str)
def test_an_id_that_is_none_is_for_the_sieve_to_refuse(ids: dict[str, Any]) -> None:
    good = {"traceId": TRACE, "spanId": SPAN}
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [good, good | ids]}]}]}).encode()
    admitted = admit("traces", to_protobuf("traces", body, LIMITS), LIMITS)
    assert (admitted.items, admitted.refused) == (1, 1)
    assert "hex digits in JSON" in admitted.message


def test_json_of_too_many_values_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(TooLarge, match=r"about 30\d\d values, the limit is 2000 \(max_values_per_request\)"):
        to_protobuf("traces", b'{"resourceSpans":[' + b",".join([b'{"a":[]}'] * 1000) + b"]}", Limits(values_per_request=2000))


def test_a_root_may_have_an_empty_parent() -> None:
    assert _span(_body(traceId=TRACE, spanId=SPAN, parentSpanId="")).parent_span_id == b""


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "not JSON"),
        (b"[]", "Expected `object`"),
        (b'{"resourceSpans": 7}', "array"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [7]}]}]}', r"resourceSpans\[0\].scopeSpans\[0\].spans\[0\] is a int"),
        (_body(name=7), r"resourceSpans\[0\].scopeSpans\[0\].spans\[0\]: .*name"),
        (b'{"a":' * 100_000, "JSON|nested"),
        (b'{"resourceSpans":' + b"[" * 500 + b"]" * 500 + b"}", "OTLP request|nested"),
    ],
)
def test_what_is_wrong_is_named(body: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        to_protobuf("traces", body, LIMITS)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resourceSpans", "scopeSpans", "spans", "traceId", "attributes", "value", "x"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_gets_protobuf_or_a_clear_fault(content: Any) -> None:
    try:
        converted = to_protobuf("traces", json.dumps(content).encode(), LIMITS)
    except Malformed:
        return
    ExportTraceServiceRequest.FromString(converted)
