"""The benchmark's load: rounds that have nothing in common but their shape."""

from itertools import chain

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks.load import ROUND_NS, Load

START_NS = 1_700_000_000 * 10**9


@pytest.fixture(scope="module")
def load() -> Load:
    return Load(24, start_ns=START_NS)


def _spans(bodies: list[bytes]) -> list[Span]:
    groups = (ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans for body in bodies)
    return list(chain.from_iterable(groups))


def _path(span: Span) -> str:
    return next(pair.value.string_value for pair in span.attributes if pair.key == "url.path")


def test_a_round_is_the_same_each_time_it_is_asked_for(load: Load) -> None:
    assert load.round(3) == load.round(3)


def test_rounds_share_no_trace_and_no_span(load: Load) -> None:
    one, other = _spans(load.round(0)), _spans(load.round(1))
    assert len(one) == len(other) == load.spans
    for ids in ({span.trace_id for span in one + other}, {span.span_id for span in one + other}):
        assert bytes(len(next(iter(ids)))) not in ids
    assert {span.trace_id for span in one}.isdisjoint(span.trace_id for span in other)
    assert len({span.span_id for span in one + other}) == 2 * load.spans


def test_parents_are_still_in_their_own_traces(load: Load) -> None:
    spans = {span.span_id: span for span in _spans(load.round(7))}
    children = [span for span in spans.values() if span.parent_span_id in spans]
    assert len(children) > load.spans / 2
    assert all(spans[child.parent_span_id].trace_id == child.trace_id for child in children)


def test_a_round_follows_the_one_before_in_time_and_its_spans_last(load: Load) -> None:
    for number in (0, 2):
        spans = _spans(load.round(number))
        first = START_NS + number * ROUND_NS
        assert all(first <= span.start_time_unix_nano < first + ROUND_NS + 10**9 for span in spans)
        assert all(span.end_time_unix_nano > span.start_time_unix_nano for span in spans)


def test_spans_of_a_trace_keep_one_user(load: Load) -> None:
    users: dict[bytes, set[str]] = {}
    for span in _spans(load.round(5)):
        users.setdefault(span.trace_id, set()).add(_path(span))
    assert all(len(paths) == 1 for paths in users.values())
    assert len(set(chain.from_iterable(users.values()))) > len(users) * 0.9
