"""What the API answers about metrics that are known."""

from collections.abc import AsyncIterator

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from storage.telemetry.engine import Engine
from tests.fakes.asked_api import Api, rfc
from tests.fakes.filled_store import HOUR, gauge, metrics


@pytest.fixture
async def api(engine: Engine) -> AsyncIterator[Api]:
    api = Api(engine)
    async with api.client:
        yield api


def at(moment: float) -> dict[str, int]:
    return {"time_unix_nano": round(moment * 1e9)}


async def test_each_metric_once_with_its_last_value(api: Api, engine: Engine) -> None:
    calls, latency, size, gc = (Metric(name=name, unit="ms") for name in ("calls", "latency", "size", "gc"))
    calls.sum.data_points.add(as_int=41, **at(HOUR + 1000))
    latency.histogram.data_points.add(count=1, **at(HOUR + 1000))
    size.exponential_histogram.data_points.add(count=1, **at(HOUR + 1000))
    gc.summary.data_points.add(count=1, **at(HOUR + 1000))
    metrics(engine, "shop", gauge("queue", 5, 7, series="a"), gauge("queue", 6, since=HOUR + 1500, series="b"), calls, latency)
    metrics(engine, "shop", size, gc, gauge("queue", 1, unit="kB"))
    metrics(engine, "till", gauge("queue", 9))
    answer = await api.get("metrics")
    assert answer["truncated"] is False
    assert answer["metrics"][3] == {
        "service": "shop",
        "name": "queue",
        "unit": "1",
        "kind": "gauge",
        "points": 3,
        "series": 2,
        "last_value": 6.0,
        "last_seen": rfc(HOUR + 1500),
    }
    assert [tuple(row[key] for key in ("service", "name", "unit", "kind", "last_value")) for row in answer["metrics"]] == [
        ("shop", "calls", "ms", "sum", 41),
        ("shop", "gc", "ms", "summary", None),
        ("shop", "latency", "ms", "histogram", None),
        ("shop", "queue", "1", "gauge", 6),
        ("shop", "queue", "kB", "gauge", 1),
        ("shop", "size", "ms", "exponential_histogram", None),
        ("till", "queue", "1", "gauge", 9),
    ]


async def test_filters(api: Api, engine: Engine) -> None:
    summary = Metric(name="gc")
    summary.summary.data_points.add(count=1, **at(HOUR + 1000))
    histogram = Metric(name="latency")
    histogram.histogram.data_points.add(count=1, **at(HOUR + 1000))
    metrics(engine, "shop", gauge("queue", 1), gauge("depth", 1), gauge("old", 1, since=HOUR + 100), summary, histogram)
    metrics(engine, "till", gauge("queue", 1))
    for wanted, found in (
        ({}, ["depth", "gc", "latency", "queue", "queue"]),
        ({"service": "shop"}, ["depth", "gc", "latency", "queue"]),
        ({"name": "queue"}, ["queue", "queue"]),
        ({"name": "gc"}, ["gc"]),
        ({"name": "latency", "service": "shop"}, ["latency"]),
        ({"name": "latency", "service": "till"}, []),
        ({"start": rfc(HOUR), "end": rfc(HOUR + 900)}, ["old"]),
    ):
        assert [row["name"] for row in (await api.get("metrics", **wanted))["metrics"]] == found, wanted


@pytest.mark.parametrize(("values", "last"), [((1.0, float("nan")), None), ((1.0, float("inf")), None), ((2.0, 0.0), 0.0)])
async def test_a_last_value_that_is_no_number_is_null(
    api: Api, engine: Engine, values: tuple[float, ...], last: float | None
) -> None:
    metrics(engine, "shop", gauge("queue", *values))
    (row,) = (await api.get("metrics"))["metrics"]
    assert (row["points"], row["last_value"]) == (2, last)


async def test_a_point_without_a_value_leaves_the_last_one_as_it_was(api: Api, engine: Engine) -> None:
    queue = gauge("queue", 3)
    queue.gauge.data_points.add(flags=1, **at(HOUR + 1100))
    metrics(engine, "shop", queue)
    (row,) = (await api.get("metrics"))["metrics"]
    assert (row["points"], row["last_value"], row["last_seen"]) == (2, 3, rfc(HOUR + 1100))
