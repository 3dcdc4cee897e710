"""Whatever a sender makes of OTLP, its request is stored or refused; it never holds up the others."""

import time
from uuid import uuid4

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.admission import Limits
from collector.look import check
from core.wire import varint
from storage.telemetry.engine import BadBlock, Engine
from tests.fakes.spans import SERVER, Span, request


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def _span(*parts: bytes) -> bytes:
    return _field(1, _field(2, _field(2, b"".join(parts))))


def _attribute(value: bytes) -> bytes:
    return _field(9, _field(1, b"key") + _field(2, value))


UNREADABLE = {
    "a name that is a number": _span(b"\x28\x05"),
    "a kind beyond 32 bits": _span(b"\x30", varint(2**40 + 3)),
    "a group": _span(varint(100 << 3 | 3), b"\x08\x01", varint(100 << 3 | 4)),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_clickhouse_cannot_read_is_the_senders_fault_and_takes_nothing_with_it(engine: Engine, body: bytes) -> None:
    assert check("traces", body, Limits()) == 1  # so that only the store can tell
    with pytest.raises(BadBlock):
        engine.insert("traces", [request([Span("good", SERVER)]), body], uuid4().hex)
    assert engine.query("SELECT count() AS spans FROM spans", {}) == [{"spans": 0}]


def test_ids_kinds_and_times_out_of_range_are_stored(engine: Engine) -> None:
    now = time.time_ns()
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    spans.add(trace_id=b"abc", span_id=b"x", parent_span_id=b"yy", start_time_unix_nano=now, end_time_unix_nano=now)
    spans.add(trace_id=b"a" * 40, span_id=b"b" * 16, kind=77, start_time_unix_nano=2**64 - 1)  # type: ignore[arg-type]
    spans.add(kind=-5, start_time_unix_nano=now, end_time_unix_nano=1).status.code = -(2**31)  # type: ignore[arg-type,assignment]
    body = message.SerializeToString()
    assert check("traces", body, Limits()) == 3
    engine.insert("traces", [body], uuid4().hex)
    assert engine.query("SELECT count() AS spans, max(abs(dateDiff('day', ts, now()))) AS days FROM spans", {}) == [
        {"spans": 3, "days": 0}
    ]


def test_one_absurd_duration_spoils_no_sum(engine: Engine) -> None:
    now = time.time_ns()
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for start, end in ((now, now + 5_000_000), (now, 2**64 - 1), (0, now)):
        spans.add(span_id=b"12345678", kind=2, start_time_unix_nano=start, end_time_unix_nano=end)  # type: ignore[arg-type]
    engine.insert("traces", [message.SerializeToString()], uuid4().hex)
    assert engine.query("SELECT sum(calls) AS calls, sum(duration_ns) AS ns FROM golden_signals_10s", {}) == [
        {"calls": 3, "ns": 5_000_000}
    ]
    (kept,) = engine.query("SELECT groupArray(attributes['meshscope.original_end_time_unix_nano']) AS ends FROM spans", {})
    assert sorted(kept["ends"]) == ["", str(now), str(2**64 - 1)]


def test_a_service_without_a_name_is_unknown(engine: Engine) -> None:
    engine.insert("traces", [request([Span("", SERVER)])], uuid4().hex)
    assert engine.query("SELECT service FROM spans", {}) == [{"service": "unknown_service"}]
