import gzip
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from collector.admission import Limits, Malformed, TooLarge, inflate
from collector.look import check
from core.wire import varint
from tests.fakes.spans import SERVER, Span, request

LIMITS = Limits(body_bytes=100_000, items_per_request=50)


def test_spans_are_counted() -> None:
    assert check("traces", request(Span(f"s{n % 3}", SERVER) for n in range(50)), LIMITS) == 50


def test_too_many_spans_are_refused_before_they_are_parsed() -> None:
    with pytest.raises(TooLarge, match="51 items, the limit is 50"):
        check("traces", request(Span("s", SERVER) for _ in range(51)), LIMITS)


def test_empty_spans_count_too() -> None:
    scope = b"\x12\x00" * 1000
    group = b"\x12" + b"\xd0\x0f" + scope
    with pytest.raises(TooLarge, match="1000 items"):
        check("traces", b"\x0a" + b"\xd3\x0f" + group, LIMITS)


@pytest.mark.parametrize("body", [b"\x0a\x00" * 51, b"\x0a\x66" + b"\x12\x00" * 51], ids=["resources", "scopes"])
def test_empty_groups_count_too(body: bytes) -> None:
    with pytest.raises(TooLarge, match="51 groups"):
        check("traces", body, LIMITS)


def test_a_large_body_is_refused() -> None:
    with pytest.raises(TooLarge, match="100001 bytes, the limit is 100000"):
        check("traces", bytes(100_001), LIMITS)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\xff\xff\xff", "ExportTraceServiceRequest"),
        (b'{"resourceSpans": []}', "looks like JSON"),
        (gzip.compress(b"x"), "Content-Encoding: gzip"),
    ],
    ids=["bytes", "json", "gzip"],  # gzip carries the time: as a name it would differ between two test processes
)
def test_what_is_malformed_is_named(body: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        check("traces", body, LIMITS)


@given(st.binary(max_size=300))
def test_any_bytes_get_a_count_or_a_clear_fault(body: bytes) -> None:
    with suppress(Malformed, TooLarge):
        assert check("traces", body, LIMITS) >= 0


@given(st.binary(max_size=1000), st.binary(max_size=1000))
def test_gzip_of_several_members_inflates(first: bytes, second: bytes) -> None:
    assert inflate(gzip.compress(first) + gzip.compress(second), limit=2000) == first + second


def test_a_bomb_is_refused_without_inflating_it_whole() -> None:
    bomb = zlib.compressobj(wbits=31)
    packed = b"".join(bomb.compress(bytes(1_000_000)) for _ in range(50)) + bomb.flush()
    with pytest.raises(TooLarge, match="more than 1000 bytes"):
        inflate(packed, limit=1000)


@pytest.mark.parametrize("broken", [b"not gzip", gzip.compress(b"cut short" * 100)[:-9]], ids=["text", "cut"])
def test_broken_gzip_is_malformed(broken: bytes) -> None:
    with pytest.raises(Malformed, match="gzip"):
        inflate(broken, limit=1000)


def _metrics(*points: int) -> bytes:
    message = ExportMetricsServiceRequest()
    metrics = message.resource_metrics.add().scope_metrics.add().metrics
    for number, kind in zip(points, ("gauge", "sum", "histogram", "exponential_histogram", "summary"), strict=False):
        data_points = getattr(metrics.add(name=kind), kind).data_points
        for _ in range(number):
            data_points.add()
    return message.SerializeToString()


def test_metrics_are_counted_by_name_and_bounded_by_points() -> None:
    assert check("metrics", _metrics(10, 10, 10, 10, 10), LIMITS) == 5
    with pytest.raises(TooLarge, match="51 points, the limit is 50"):
        check("metrics", _metrics(10, 10, 10, 10, 11), LIMITS)


def test_too_many_metrics_are_refused() -> None:
    with pytest.raises(TooLarge, match="51 items"):
        check("metrics", b"\x0a\x68\x12\x66" + b"\x12\x00" * 51, LIMITS)


@given(st.binary(max_size=300))
def test_any_bytes_in_a_metric_get_a_count_or_a_clear_fault(metric: bytes) -> None:
    scope = b"\x12" + varint(len(metric)) + metric
    group = b"\x12" + varint(len(scope)) + scope
    with suppress(Malformed, TooLarge):
        assert check("metrics", b"\x0a" + varint(len(group)) + group, LIMITS) >= 0
