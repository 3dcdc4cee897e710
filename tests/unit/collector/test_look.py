"""What a request holds is counted within bounds, and in pieces when it is large."""

import random
from contextlib import suppress

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.admission import Limits, Malformed, TooLarge
from collector.look import PIECE, check, look
from collector.outlines import REQUESTS
from core.wire import inside
from storage.telemetry.engine import Signal
from tests.fakes.spans import SERVER, Span, request

LIMITS = Limits(values_per_request=10_000, copied_bytes=1_000_000)
IDS = b"\x0a\x10" + b"t" * 16 + b"\x12\x08" + b"s" * 8
GROUP, SCOPE, ITEM = 1, 2, 2
EMPTY_ATTRIBUTE, EMPTY_EVENT, EMPTY_LINK = b"\x4a\x00", b"\x5a\x00", b"\x6a\x00"


def _traces(span: bytes) -> bytes:
    return inside((GROUP, SCOPE, ITEM), IDS + span)


def _large(spans: int, *, text: int = 1000) -> bytes:
    made = (Span(f"service-{n % 3}", SERVER, attributes={"text": "x" * text, "n": n}) for n in range(spans))
    return request(made)


def test_a_large_request_is_read_in_pieces_and_counted_as_a_whole() -> None:
    body = _large(3000)
    assert len(body) > 4 * PIECE
    seen = look("traces", body, Limits())
    assert (seen.items, seen.rows, seen.flawless, seen.unreadable) == (3000, 3000, True, "")


def test_one_scope_larger_than_a_piece_is_cut_between_its_spans() -> None:
    body = request(Span("one", SERVER, attributes={"text": "x" * 5000}) for _ in range(400))
    assert len(body) > 3 * PIECE
    assert look("traces", body, Limits()).items == 400


def test_one_span_larger_than_a_piece_is_cut_too() -> None:
    body = request([Span("one", SERVER, attributes={f"key-{n}": "x" * 60_000 for n in range(40)})])
    seen = look("traces", body, Limits())
    assert (seen.unreadable, seen.flawless) == ("", False)  # what its ids are is not told by its pieces


def test_one_string_larger_than_a_piece_is_read() -> None:
    assert check("traces", request([Span("one", SERVER, attributes={"text": "x" * 3 * PIECE})]), Limits()) >= 1


@pytest.mark.parametrize("value", [EMPTY_ATTRIBUTE, EMPTY_EVENT, EMPTY_LINK], ids=["attributes", "events", "links"])
def test_values_are_bounded(value: bytes) -> None:
    assert look("traces", _traces(value * 9_990), LIMITS).rows == 1
    with pytest.raises(TooLarge, match=r"values, the limit is 10000 \(max_values_per_request\)"):
        look("traces", _traces(value * 10_500), LIMITS)


@pytest.mark.parametrize("depth", [1, 20], ids=["flat", "nested"])
def test_values_of_a_large_request_are_bounded_wherever_they_are(depth: int) -> None:
    empties = inside((5, 1) * depth, b"\x0a\x00" * PIECE)  # an array in an array of empty values
    with pytest.raises(TooLarge, match="values, the limit is 10000"):
        look("traces", _traces(inside((9, 2), empties)), LIMITS)


def test_buckets_and_exemplars_are_values() -> None:
    message = ExportMetricsServiceRequest()
    point = message.resource_metrics.add().scope_metrics.add().metrics.add(name="m").histogram.data_points.add()
    point.bucket_counts.extend(range(8_000))
    for _ in range(1_500):
        point.exemplars.add().filtered_attributes.add()
    with pytest.raises(TooLarge, match="11000 values"):
        look("metrics", message.SerializeToString(), LIMITS)


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_what_each_row_gets_a_copy_of_is_bounded(signal: str) -> None:
    resource = inside((1, 1, 1), b"k" * 10_000)
    rows = inside((SCOPE,), inside((ITEM,), IDS if signal == "traces" else b"") * 101)
    with pytest.raises(TooLarge, match=r"the limit is 1000000 \(max_copied_bytes\)"):
        look(signal, inside((GROUP,), resource + rows), LIMITS)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [100, PIECE + 1], ids=["small", "cut"])
def test_the_name_of_a_metric_is_copied_to_each_of_its_points(name: int) -> None:
    gauge = inside((5,), b"\x0a\x00" * (1_000_000 // name + 1))
    with pytest.raises(TooLarge, match="max_copied_bytes"):
        look("metrics", inside((GROUP, SCOPE, ITEM), inside((1,), b"n" * name) + gauge), LIMITS)


def test_the_resource_of_a_group_that_is_cut_counts_for_all_of_its_rows() -> None:
    resource = inside((1, 1, 1), b"k" * 10_000)
    scope = inside((SCOPE,), inside((ITEM,), IDS + inside((5,), b"n" * 10_000)) * 110)
    body = inside((GROUP,), scope + resource)
    assert len(body) > 2 * PIECE
    with pytest.raises(TooLarge, match="max_copied_bytes"):
        look("traces", body, LIMITS)


@pytest.mark.parametrize(
    ("span", "flawless"),
    [
        (IDS, True),
        (IDS + b"\x22\x08" + b"p" * 8, True),
        (IDS + b"\x22\x00", False),  # no parent, said at length: for a closer look
        (b"\x0a\x10" + b"t" * 16, False),
        (b"\x12\x08" + b"s" * 8, False),
        (b"\x0a\x0f" + b"t" * 15 + b"\x12\x08" + b"s" * 8, False),
        (b"\x0a\x10" + bytes(16) + b"\x12\x08" + b"s" * 8, False),
        (b"\x0a\x10" + b"t" * 16 + b"\x12\x08" + bytes(8), False),
        (IDS + b"\x22\x04" + b"p" * 4, False),
        (IDS + IDS, False),
    ],
)
def test_an_id_at_fault_among_good_ones_is_noticed(span: bytes, flawless: bool) -> None:
    spans = b"".join(inside((ITEM,), each) for each in (IDS, span, IDS))
    assert look("traces", inside((GROUP, SCOPE), spans), LIMITS).flawless is flawless


_SPANS = st.lists(
    st.tuples(st.sampled_from([0, 8, 15, 16, 17, 34]), st.sampled_from([0, 7, 8, 9, 26]), st.sampled_from([0, 8, 9])), max_size=6
)


@given(_SPANS, st.integers(0, 2**32))
def test_flawless_means_that_every_id_is_whole(lengths: list[tuple[int, int, int]], seed: int) -> None:
    rng = random.Random(seed)
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for trace, span, parent in lengths:
        spans.add(trace_id=rng.randbytes(trace), span_id=rng.randbytes(span), parent_span_id=rng.randbytes(parent))
    whole = all(trace == 16 and span == 8 and parent in (0, 8) for trace, span, parent in lengths)
    assert look("traces", message.SerializeToString(), LIMITS).flawless is whole


@given(st.binary(max_size=400), st.integers(0, 400))
def test_a_large_request_of_any_bytes_gets_counts_or_a_clear_fault(junk: bytes, at: int) -> None:
    body = bytearray(_large(520))
    body[at * 1000 : at * 1000 + len(junk)] = junk
    with suppress(Malformed, TooLarge):
        assert look("traces", bytes(body), Limits()).items >= 0


def _of_each_kind() -> dict[Signal, bytes]:
    """A request of each signal with values of each kind, nested ones among them."""
    traces, logs, metrics = ExportTraceServiceRequest(), ExportLogsServiceRequest(), ExportMetricsServiceRequest()
    span = traces.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="näme")
    record = logs.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO")
    named = metrics.resource_metrics.add().scope_metrics.add().metrics
    gauge = named.add(name="one").gauge.data_points.add(as_double=1.5)
    named.add(name="two").histogram.data_points.add(bucket_counts=[1, 2], explicit_bounds=[0.5]).exemplars.add(as_int=3)
    named.add(name="three").exponential_histogram.data_points.add().positive.bucket_counts.append(4)
    named.add(name="four").summary.data_points.add().quantile_values.add(quantile=0.5, value=1)
    for holder in (span, span.events.add(name="event"), span.links.add(), record, gauge, traces.resource_spans[0].resource):
        holder.attributes.add(key="text").value.string_value = "völlig"
        for value in (1, 2):
            holder.attributes.add(key="list").value.array_value.values.add().kvlist_value.values.add(
                key="k"
            ).value.int_value = value
        holder.attributes.add(key="bytes").value.bytes_value = b"\xff"
        holder.attributes.add(key="flag").value.bool_value = False
    record.body.kvlist_value.values.add(key="k").value.double_value = 2.5
    return {"traces": traces.SerializeToString(), "logs": logs.SerializeToString(), "metrics": metrics.SerializeToString()}


OF_EACH_KIND = _of_each_kind()


@pytest.mark.parametrize("limits", [Limits(), Limits(values_per_request=100)], ids=["merged", "counted"])
@given(
    st.sampled_from(sorted(OF_EACH_KIND)), st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3)
)
def test_what_the_requests_own_message_cannot_read_is_unreadable(
    limits: Limits, signal: Signal, changes: list[tuple[float, int]]
) -> None:
    body = bytearray(OF_EACH_KIND[signal])
    for at, byte in changes:
        body[int(at * len(body))] = byte
    try:
        REQUESTS[signal].FromString(bytes(body))
        readable = True
    except DecodeError:
        readable = False
    with suppress(TooLarge):
        try:
            assert (look(signal, bytes(body), limits).unreadable == "") is readable
        except Malformed:
            assert not readable
