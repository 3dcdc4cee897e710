import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.admission import Limits, Malformed
from collector.receivers.otlp_json import to_protobuf

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
