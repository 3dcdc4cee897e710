from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from mesh_proxy.targets.circuit import Change
from mesh_proxy.telemetry import otlp
from mesh_proxy.telemetry.events import MeshEvent
from mesh_proxy.telemetry.spans import Hop, HopSpans, attribute, trace_state
from mesh_proxy.telemetry.trace_context import TraceContext
from tests.fakes.http_peers import value_of

HOP = Hop("outbound", "payments.local", "pay", "/pay", "payments-v1", "payments", "v1")
CONTEXT = TraceContext(b"t" * 16, b"p" * 8, b"01", True)


def decoded(element: bytes) -> tuple[Span, dict[str, object]]:
    (span,) = ScopeSpans.FromString(element).spans
    return span, {pair.key: value_of(pair.value) for pair in span.attributes}


def test_a_server_span_says_exactly_this() -> None:
    more = (
        attribute("url.path", "/pay/7") + attribute("client.address", "10.0.0.1") + attribute("server.address", "payments.local")
    )
    span, attributes = decoded(HopSpans(HOP).server(CONTEXT, b"s" * 8, (10, 25), b"POST", 503, "UF,URX", more))
    assert (span.trace_id, span.span_id, span.parent_span_id) == (b"t" * 16, b"s" * 8, b"p" * 8)
    assert (span.name, span.kind, span.start_time_unix_nano, span.end_time_unix_nano) == (
        "POST /pay",
        Span.SPAN_KIND_SERVER,
        10,
        25,
    )
    assert span.status.code == 2
    assert attributes == {
        "component": "proxy",
        "mesh.direction": "outbound",
        "http.request.method": "POST",
        "http.route": "/pay",
        "url.path": "/pay/7",
        "http.response.status_code": 503,
        "response_flags": "UF,URX",
        "upstream_cluster.name": "payments-v1",
        "client.address": "10.0.0.1",
        "server.address": "payments.local",
        "mesh.virtual_service": "payments.local",
        "mesh.route": "pay",
    }


def test_a_client_span_says_exactly_this() -> None:
    more = attribute("server.address", "127.0.0.1") + attribute("server.port", 9001) + attribute("http.request.resend_count", 2)
    span, attributes = decoded(HopSpans(HOP).client(CONTEXT, (b"c" * 8, b"s" * 8), (10, 25), b"GET", 404, "", "404", more))
    assert (span.span_id, span.parent_span_id, span.kind) == (b"c" * 8, b"s" * 8, Span.SPAN_KIND_CLIENT)
    assert span.status.code == 2
    assert attributes == {
        "component": "proxy",
        "mesh.direction": "outbound",
        "http.request.method": "GET",
        "http.route": "/pay",
        "http.response.status_code": 404,
        "response_flags": "-",
        "upstream_cluster.name": "payments-v1",
        "peer.service": "payments",
        "peer.version": "v1",
        "server.address": "127.0.0.1",
        "server.port": 9001,
        "http.request.resend_count": 2,
        "error.type": "404",
    }


def test_a_root_has_no_parent_and_a_fine_answer_no_error() -> None:
    root = CONTEXT._replace(parent_id=b"")
    span, _ = decoded(HopSpans(HOP).server(root, b"s" * 8, (10, 25), b"GET", 404, "", b""))
    assert span.parent_span_id == b""
    assert span.status.code == 0


def test_an_attempt_without_an_answer_has_no_status() -> None:
    span, attributes = decoded(
        HopSpans(HOP).client(CONTEXT, (b"c" * 8, b"s" * 8), (10, 10), b"GET", 0, "UH", "no_healthy_upstream", b"")
    )
    assert "http.response.status_code" not in attributes
    assert (attributes["response_flags"], attributes["error.type"], span.status.code) == ("UH", "no_healthy_upstream", 2)


@given(st.text(max_size=20_000), st.integers(0, 2**63), st.integers(-(2**63), 2**63 - 1))
def test_spans_of_any_size_decode(path: str, start: int, number: int) -> None:
    more = attribute("url.path", path) + attribute("n", number) + trace_state(b"a=1")
    span, attributes = decoded(HopSpans(HOP).server(CONTEXT, b"s" * 8, (start, start + 1), b"GET", 200, "", more))
    assert attributes["url.path"] == path.encode("utf-8", "replace").decode()
    assert attributes["n"] == number
    assert span.end_time_unix_nano == span.start_time_unix_nano + 1
    assert span.trace_state == "a=1"


def test_no_more_templates_are_kept_than_can_be() -> None:
    spans = HopSpans(HOP)
    for status in range(100, 2000):
        spans.server(CONTEXT, b"s" * 8, (1, 2), b"GET", status, "", b"")
    assert len(spans._kept) <= 512


def test_an_event_says_exactly_this() -> None:
    change = Change(
        "mesh.outlier_detection", "ejected", "consecutive_5xx", "127.0.0.1:9001", (("failures", 5), ("ejection_ms", 30_000.0))
    )
    element = MeshEvent(change, "web", "payments", "payments-v1", b"t" * 16, b"s" * 8).encoded(77)
    (record,) = ScopeLogs.FromString(element).log_records
    assert (record.event_name, record.severity_number, record.time_unix_nano) == ("mesh.outlier_detection", 13, 77)
    assert (record.trace_id, record.span_id) == (b"t" * 16, b"s" * 8)
    assert record.body.string_value == "outlier detection of payments-v1: ejected 127.0.0.1:9001 (consecutive_5xx)"
    assert {pair.key: value_of(pair.value) for pair in record.attributes} == {
        "mesh.event.action": "ejected",
        "mesh.source": "web",
        "mesh.destination": "payments",
        "mesh.endpoint": "127.0.0.1:9001",
        "mesh.target": "payments-v1",
        "mesh.event.reason": "consecutive_5xx",
        "mesh.event.enforced": True,
        "mesh.event.failures": 5,
        "mesh.event.ejection_ms": 30_000.0,
    }


def test_closing_is_information_not_warning() -> None:
    element = MeshEvent(Change("mesh.circuit_breaker", "closed", "probe_succeeded"), "web").encoded(1)
    (record,) = ScopeLogs.FromString(element).log_records
    assert record.severity_number == 9
    whole = otlp.message(1, otlp.message(2, element))
    assert ExportLogsServiceRequest.FromString(whole).resource_logs[0].scope_logs[0].log_records[0].severity_number == 9


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=300))
def test_a_prepared_attribute_is_the_same_as_any_other(text: str) -> None:
    assert otlp.TextAttribute(9, "url.path").of(text.encode()) == attribute("url.path", text)


@given(st.lists(st.binary(max_size=300), max_size=20), st.integers(0, 200))
def test_a_request_is_what_nested_messages_would_be(items: list[bytes], size: int) -> None:
    resource, scope = otlp.message(1, b"r" * size), otlp.message(1, b"s" * size)
    nested = otlp.message(1, resource + otlp.message(2, scope + b"".join(items)))
    assert otlp.export_request(resource, scope, items) == nested
