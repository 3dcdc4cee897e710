"""Bad telemetry gets a clear answer over both protocols, and leaves nothing behind."""

import gzip
from collections.abc import Iterator

import grpc
import httpx
import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from tests.fakes.processes import Meshscope
from tests.fakes.spans import SERVER, Span, request

PROTOBUF = {"content-type": "application/x-protobuf"}
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LIMIT = 16 * 1024 * 1024


@pytest.fixture
def unchanged(meshscope: Meshscope) -> Iterator[Meshscope]:
    """Return a Meshscope that must hold as many spans after the test as before."""
    before = meshscope.get("status")["spans_stored"]
    yield meshscope
    assert meshscope.get("status")["spans_stored"] == before


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "says"),
    [
        (
            "traces",
            b"\x0a\xff\xff",
            PROTOBUF,
            400,
            "not a protobuf opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest",
        ),
        ("logs", b"\x0a\xff\xff", PROTOBUF, 400, "ExportLogsServiceRequest"),
        ("traces", b'{"resourceSpans":[]}', PROTOBUF, 400, "looks like JSON"),
        ("traces", b"plain", PROTOBUF | {"content-encoding": "gzip"}, 400, "not gzip"),
        ("traces", bytes(LIMIT + 1), PROTOBUF, 413, f"more than {LIMIT} bytes"),
        (
            "traces",
            gzip.compress(bytes(LIMIT * 4)),
            PROTOBUF | {"content-encoding": "gzip"},
            413,
            f"inflates to more than {LIMIT} bytes",
        ),
        ("traces", b"x: 1", {"content-type": "text/yaml"}, 415, "use application/x-protobuf or application/json"),
        ("traces", b"", PROTOBUF | {"content-encoding": "br"}, 415, "use gzip or none"),
        ("nowhere", b"", PROTOBUF, 404, "/v1/traces"),
    ],
)
def test_http_says_what_is_wrong(
    unchanged: Meshscope, path: str, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    answer = httpx.post(f"http://127.0.0.1:{unchanged.otlp_http}/v1/{path}", content=body, headers=headers, timeout=30)
    assert answer.status_code == status
    assert says in Status.FromString(answer.content).message


def test_a_body_of_unknown_length_is_refused_as_soon_as_it_is_too_long(unchanged: Meshscope) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(LIMIT // 1_000_000 + 2):
            yield bytes(1_000_000)

    answer = httpx.post(unchanged.traces_url, content=endless(), headers=PROTOBUF, timeout=30)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        (b"\x0a\xff\xff", grpc.StatusCode.INVALID_ARGUMENT, "ExportTraceServiceRequest"),
        (bytes(LIMIT + 1), grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max"),
    ],
)
@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_grpc_says_what_is_wrong(
    unchanged: Meshscope, body: bytes, code: grpc.StatusCode, says: str, compression: grpc.Compression
) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{unchanged.otlp_grpc}") as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(EXPORT)(body, timeout=30, compression=compression)
    assert refused.value.code() is code
    assert says in refused.value.details()


def test_a_signal_that_is_not_received_is_unimplemented(unchanged: Meshscope) -> None:
    method = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
    with grpc.insecure_channel(f"127.0.0.1:{unchanged.otlp_grpc}") as channel, pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(method)(b"", timeout=30)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_good_requests_among_bad_ones_are_stored(meshscope: Meshscope) -> None:
    before = meshscope.get("status")["spans_stored"]
    with httpx.Client(headers=PROTOBUF, timeout=30) as client:
        for number in range(5):
            assert client.post(meshscope.traces_url, content=b"\xff" * (number + 1)).status_code == 400
            body = gzip.compress(request([Span("good", SERVER)]))
            assert client.post(meshscope.traces_url, content=body, headers={"content-encoding": "gzip"}).status_code == 200
    assert meshscope.get("status")["spans_stored"] == before + 5
