"""Metrics of every kind land as rows that say what was sent."""

import math
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint

from collector.admission import Limits
from collector.look import check
from storage.telemetry.engine import BadBlock, Engine

DELTA, CUMULATIVE = 1, 2
ENVOY = Path(__file__).parent.parent / "data/envoy-1.40/otlp-metrics.jsonl"
NOW = time.time_ns() // 1_000_000_000 * 1_000_000_000
START = NOW - 60_000_000_000
TIMES = {"start_time_unix_nano": START, "time_unix_nano": NOW}


class Sent:
    """One request of the service `shop`."""

    def __init__(self) -> None:
        self.message = ExportMetricsServiceRequest()
        self.resource = self.message.resource_metrics.add()
        for key, value in (("service.name", "shop"), ("service.version", "v2"), ("mesh.name", "fintech"), ("zone", "a")):
            self.resource.resource.attributes.add(key=key).value.string_value = value
        self._scope = self.resource.scope_metrics.add()
        self._scope.scope.name = "till"

    def metric(self, name: str = "m", unit: str = "1") -> Metric:
        return self._scope.metrics.add(name=name, unit=unit)

    def land(self, engine: Engine) -> int:
        body = self.message.SerializeToString()
        items = check("metrics", body, Limits())
        engine.insert("metrics", [body], uuid4().hex)
        return items


def _rows(engine: Engine, columns: str, table: str = "metric_points") -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in engine.query(f"SELECT {columns} FROM {table} ORDER BY name, ts, flags", {})]


def _envoy() -> bytes:
    return json_format.Parse(ENVOY.read_text("utf-8"), ExportMetricsServiceRequest()).SerializeToString()


def test_what_envoy_sends_is_stored_with_its_starts_put_right(engine: Engine) -> None:
    body = _envoy()
    assert check("metrics", body, Limits()) == 92
    engine.insert("metrics", [body], uuid4().hex)
    assert engine.query(
        """SELECT toString(kind) AS kind, toString(temporality) AS temporality, monotonic, count() AS points,
               toUnixTimestamp64Nano(max(start_ts)) AS start_ns,
               uniqExact(if(mapContains(attributes, 'meshscope.original_time_unix_nano'),
                   attributes['meshscope.original_time_unix_nano'], toString(toUnixTimestamp64Nano(ts)))) AS times
           FROM metric_points GROUP BY ALL ORDER BY kind""",
        {},
    ) == [
        {"kind": "gauge", "temporality": "unspecified", "monotonic": False, "points": 70, "start_ns": 0, "times": 1},
        {
            "kind": "sum",
            "temporality": "cumulative",
            "monotonic": True,
            "points": 21,
            "start_ns": 1795392141171028000,  # 1795392141171028 was sent
            "times": 1,
        },
    ]
    assert engine.query(
        """SELECT service, mesh, value, value_int, attributes['envoy.cluster_name'] AS cluster FROM metric_points
           WHERE name = 'envoy.cluster.circuit_breakers.default.remaining_cx_pools' ORDER BY cluster LIMIT 1""",
        {},
    ) == [{"service": "front", "mesh": "demo", "value": -1.0, "value_int": -1, "cluster": "cds_egress_demo_color-v1_http_8080"}]
    ((count, total, least, bounds, counts, start_ns),) = _rows(
        engine, "count, sum, min, bounds, counts, toUnixTimestamp64Nano(start_ts)", "metric_histograms"
    )
    assert (count, total, least, start_ns) == (1, 12.48, None, 1795392141171028000)
    assert (len(bounds), bounds[-1], len(counts), counts[4]) == (19, 3_600_000, 20, 1)


def test_a_gauge_keeps_integers_exactly_and_tells_zero_from_nothing(engine: Engine) -> None:
    sent = Sent()
    points = sent.metric("queue", "{job}").gauge.data_points
    big = 2**62 + 1
    points.add(as_int=big, **TIMES)
    points.add(as_int=0, flags=1, **TIMES)
    points.add(as_double=0.0, flags=2, **TIMES)
    points.add(as_double=-2.5, flags=3, **TIMES)
    points.add(flags=5, **TIMES)
    assert sent.land(engine) == 1
    assert _rows(engine, "value, value_int, flags") == [
        (float(big), big, 0),
        (0, 0, 1),
        (0, None, 2),
        (-2.5, None, 3),
        (None, None, 5),
    ]
    ((*row, attributes, resource),) = _rows(
        engine,
        """DISTINCT service, version, instance, mesh, scope, name, unit, toString(kind), toString(temporality), monotonic,
           toUnixTimestamp64Nano(ts), toUnixTimestamp64Nano(start_ts), attributes,
           (SELECT any(r.attributes) FROM resources AS r WHERE r.id = resource_id)""",
    )
    assert row == ["shop", "v2", "", "fintech", "till", "queue", "{job}", "gauge", "unspecified", False, NOW, START]
    assert (attributes, resource["zone"]) == ({}, "a")


@pytest.mark.parametrize(
    ("temporality", "monotonic", "says"), [(DELTA, True, "delta"), (CUMULATIVE, False, "cumulative"), (77, True, "unspecified")]
)
def test_a_sum_says_how_it_adds_up(engine: Engine, temporality: int, monotonic: bool, says: str) -> None:
    sent = Sent()
    total = sent.metric().sum
    total.aggregation_temporality = temporality  # type: ignore[assignment]
    total.is_monotonic = monotonic
    total.data_points.add(as_int=-7, **TIMES)
    sent.land(engine)
    assert _rows(engine, "toString(kind), toString(temporality), monotonic, value") == [("sum", says, monotonic, -7)]


def test_an_explicit_histogram_is_kept_whole(engine: Engine) -> None:
    sent = Sent()
    histogram = sent.metric("latency", "ms").histogram
    histogram.aggregation_temporality = DELTA  # type: ignore[assignment]
    histogram.data_points.add(
        count=3, sum=0.0, min=-1.5, max=9.0, bucket_counts=[1, 0, 2], explicit_bounds=[0.5, 5.0], flags=1, **TIMES
    )
    histogram.data_points.add(count=4, flags=2, **TIMES)  # neither buckets nor a sum: both may be left out
    sent.land(engine)
    columns = "toString(kind), toString(temporality), count, sum, min, max, bounds, counts, unit"
    assert _rows(engine, columns, "metric_histograms") == [
        ("histogram", "delta", 3, 0, -1.5, 9, [0.5, 5], [1, 0, 2], "ms"),
        ("histogram", "delta", 4, None, None, None, [], [], "ms"),
    ]


def test_an_exponential_histogram_is_kept_whole(engine: Engine) -> None:
    sent = Sent()
    histogram = sent.metric().exponential_histogram
    histogram.aggregation_temporality = CUMULATIVE  # type: ignore[assignment]
    point = histogram.data_points.add(count=9, sum=1.25, min=0.0, max=2.0, scale=-3, zero_count=4, zero_threshold=0.01, **TIMES)
    point.positive.offset, point.negative.offset = -2, 5
    point.positive.bucket_counts.extend([1, 2**40])
    point.negative.bucket_counts.append(3)
    sent.land(engine)
    columns = """toString(kind), toString(temporality), count, sum, min, max, scale, zero_count, zero_threshold, positive_offset,
        positive_counts, negative_offset, negative_counts, bounds, counts"""
    assert _rows(engine, columns, "metric_histograms") == [
        ("exponential_histogram", "cumulative", 9, 1.25, 0, 2, -3, 4, 0.01, -2, [1, 2**40], 5, [3], [], [])
    ]


def test_a_summary_keeps_its_quantiles(engine: Engine) -> None:
    sent = Sent()
    point = sent.metric("gc", "s").summary.data_points.add(count=10, sum=2.5, flags=1, **TIMES)
    point.quantile_values.add(quantile=0.5, value=0.1)
    point.quantile_values.add(quantile=1.0, value=0.9)
    point.attributes.add(key="pool").value.string_value = "young"
    sent.land(engine)
    columns = "service, name, unit, count, sum, quantiles, values, attributes, toUnixTimestamp64Nano(start_ts)"
    assert _rows(engine, columns, "metric_summaries") == [
        ("shop", "gc", "s", 10, 2.5, [0.5, 1], [0.1, 0.9], {"pool": "young"}, START)
    ]


def _exemplify(point: Any) -> None:
    exemplar = point.exemplars.add(time_unix_nano=NOW, as_int=3, trace_id=b"\xab" * 16, span_id=b"\0" * 7 + b"\x07")
    exemplar.filtered_attributes.add(key="user").value.int_value = 42
    point.exemplars.add(time_unix_nano=NOW, as_double=0.5)


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        ("gauge", "metric_points"),
        ("sum", "metric_points"),
        ("histogram", "metric_histograms"),
        ("exponential_histogram", "metric_histograms"),
    ],
)
def test_exemplars_lead_to_traces(engine: Engine, kind: str, table: str) -> None:
    sent = Sent()
    _exemplify(getattr(sent.metric(), kind).data_points.add(**TIMES))
    sent.land(engine)
    columns = "arrayMap(e -> (toUnixTimestamp64Nano(e.ts), e.value, lower(hex(e.trace_id)), e.span_id, e.attributes), exemplars)"
    (((first, second),),) = _rows(engine, f"{columns} AS told", table)
    assert tuple(first) == (NOW, 3, "ab" * 16, 7, {"user": "42"})
    assert tuple(second) == (NOW, 0.5, "00" * 16, 0, {})


def _decorate(point: NumberDataPoint) -> None:
    for key, member, value in (
        ("text", "string_value", "ö"),
        ("int", "int_value", -1),
        ("double", "double_value", 0.5),
        ("bool", "bool_value", False),
        ("bytes", "bytes_value", b"\xff"),
    ):
        setattr(point.attributes.add(key=key).value, member, value)
    point.attributes.add(key="list").value.array_value.values.add().string_value = "x"
    point.attributes.add(key="nested").value.kvlist_value.values.add(key="k").value.int_value = 1
    point.attributes.add(key="none")


def test_attributes_of_every_type_are_kept_as_text(engine: Engine) -> None:
    sent = Sent()
    _decorate(sent.metric().gauge.data_points.add(as_int=1, **TIMES))
    sent.land(engine)
    ((attributes,),) = _rows(engine, "mapApply((k, v) -> (k, if(startsWith(v, '\\0'), base64Encode(v), v)), attributes)")
    assert attributes == {
        "text": "ö",
        "int": "-1",
        "double": "0.5",
        "bool": "false",
        "bytes": "ADoB/w==",  # what is no text keeps its bytes, a whole AnyValue after a zero byte
        "list": "ACoFCgMKAXg=",
        "nested": "ADIJCgcKAWsSAhgB",
        "none": "",
    }


def test_a_series_is_its_resource_scope_and_attributes_in_any_order(engine: Engine) -> None:
    sent = Sent()
    points = sent.metric().gauge.data_points
    for attributes in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}, {"a": "2", "b": "1"}):
        point = points.add(as_int=1, flags=len(points), **TIMES)
        for key, value in attributes.items():
            point.attributes.add(key=key).value.string_value = value
    sent.land(engine)
    first, second, third = (series for (series,) in _rows(engine, "series"))
    assert first == second != third


def test_what_is_empty_adds_nothing(engine: Engine) -> None:
    sent = Sent()
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
        getattr(sent.metric(), kind).SetInParent()
    sent.metric()
    assert sent.land(engine) == 6
    for table in ("metric_points", "metric_histograms", "metric_summaries"):
        assert _rows(engine, "name", table) == []


def test_an_empty_point_is_a_point_of_now_that_says_nothing(engine: Engine) -> None:
    sent = Sent()
    sent.message.resource_metrics.add().scope_metrics.add().metrics.add().gauge.data_points.add()
    sent.land(engine)
    assert _rows(engine, "service, name, value, toYear(start_ts), abs(dateDiff('minute', ts, now())) < 5, attributes") == [
        ("unknown_service", "", None, 1970, True, {"meshscope.original_time_unix_nano": "0"})
    ]


@pytest.mark.parametrize("stamp", [1, 10**18, 2**64 - 1])
def test_a_wrong_clock_opens_no_partitions(engine: Engine, stamp: int) -> None:
    sent = Sent()
    wrong = {"time_unix_nano": stamp, "start_time_unix_nano": stamp}
    sent.metric("a").gauge.data_points.add(as_int=1, **wrong)
    sent.metric("a").histogram.data_points.add(count=1, **wrong)
    sent.metric("a").exponential_histogram.data_points.add(count=1, **wrong)
    sent.metric("a").summary.data_points.add(count=1, **wrong)
    sent.land(engine)
    columns = "abs(dateDiff('minute', ts, now())) < 5 AS is_now, attributes['meshscope.original_time_unix_nano'] AS told"
    for table, rows in (("metric_points", 1), ("metric_histograms", 2), ("metric_summaries", 1)):
        assert _rows(engine, columns, table) == [(True, str(stamp))] * rows


@pytest.mark.parametrize(
    ("sent_start", "stored"),
    [
        (NOW // 1000, NOW),
        (NOW - 9 * 86_400 * 10**9, NOW - 9 * 86_400 * 10**9),
        (0, 0),
        (10**15 - 1, 10**15 - 1),
        (10**16, 10**16),
    ],
    ids=["microseconds", "nanoseconds of long ago", "not told", "fifteen digits", "seventeen digits"],
)
def test_only_a_start_of_sixteen_digits_is_taken_for_microseconds(engine: Engine, sent_start: int, stored: int) -> None:
    sent = Sent()
    sent.metric().sum.data_points.add(as_int=1, start_time_unix_nano=sent_start, time_unix_nano=NOW)
    sent.land(engine)
    assert _rows(engine, "toUnixTimestamp64Nano(start_ts)") == [(stored,)]


def test_what_is_no_number_is_stored_as_such(engine: Engine) -> None:
    sent = Sent()
    points = sent.metric().gauge.data_points
    for number in (math.inf, -math.inf, math.nan):
        points.add(as_double=number, flags=len(points), **TIMES)
    sent.land(engine)
    ((up,), (down,), (none,)) = _rows(engine, "value")
    assert (up, down) == (math.inf, -math.inf)
    assert math.isnan(none)


def test_a_repeated_token_adds_nothing_to_any_table(engine: Engine) -> None:
    sent = Sent()
    for number in range(3):
        sent.metric().gauge.data_points.add(as_int=number, **TIMES)
        sent.metric().sum.data_points.add(as_int=1, **TIMES)  # the very same point, sent thrice in one block, is thrice there
        sent.metric().histogram.data_points.add(count=1, **TIMES)
        sent.metric().exponential_histogram.data_points.add(count=1, **TIMES)
        sent.metric().summary.data_points.add(count=1, **TIMES)
    block, token = [sent.message.SerializeToString()] * 2, uuid4().hex
    for again in (token, token, uuid4().hex):
        engine.insert("metrics", block, again)
    for table, rows in (("metric_points", 24), ("metric_histograms", 24), ("metric_summaries", 12)):
        assert engine.query(f"SELECT count() AS stored FROM {table}", {}) == [{"stored": rows}]


def test_two_kinds_in_one_metric_are_the_senders_fault(engine: Engine) -> None:
    gauge, total = Metric(), Metric()
    gauge.gauge.data_points.add(as_int=1, **TIMES)
    total.sum.data_points.add(as_int=1, **TIMES)
    metric = gauge.SerializeToString() + total.SerializeToString()
    scope = b"\x12" + bytes([len(metric)]) + metric
    group = b"\x12" + bytes([len(scope)]) + scope
    body = b"\x0a" + bytes([len(group)]) + group
    assert check("metrics", body, Limits()) == 1
    with pytest.raises(BadBlock):
        engine.insert("metrics", [body], uuid4().hex)
    assert _rows(engine, "name") == []
