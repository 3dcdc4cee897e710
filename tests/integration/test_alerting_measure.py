"""What rules measure, asked of real ClickHouse tables in this process."""

import time

import pytest

from alerting.measure import Round, Sample
from alerting.rules import Rule
from storage.telemetry.engine import Engine
from tests.fakes.spans import CLIENT, SERVER, Span, proxied, request


def _rule(metric: str, window: str = "1m", **subject: object) -> Rule:
    return Rule.model_validate({"name": "R", "metric": metric, "threshold": 0.5, "window": window, **subject})


@pytest.fixture
def now() -> float:
    return time.time() // 60 * 60 - 3600.0 + 45.0  # 45 s into a minute, an hour ago


def _insert(engine: Engine, spans: list[Span]) -> None:
    engine.insert("traces", [request(spans)], token=str(id(spans)))


def _edge(
    engine: Engine, minute: float, source: str, destination: str, calls: int, errors: int, milliseconds: int, version: str = ""
) -> None:
    engine.command(
        """INSERT INTO edges_1m (minute, source, destination, destination_version, calls, errors, latency, computed)
        SELECT toDateTime({minute:UInt32}), {source:String}, {destination:String}, {version:String}, {calls:UInt64},
               {errors:UInt64}, quantilesDDState(0.01, 0.5, 0.95, 0.99)(toUInt64({ms:UInt64} * 1000000)), now64(3)""",
        {
            "minute": int(minute),
            "source": source,
            "destination": destination,
            "version": version,
            "calls": calls,
            "errors": errors,
            "ms": milliseconds,
        },
    )  # fmt: skip


async def test_a_services_metrics_over_the_window(engine: Engine, now: float) -> None:
    inside = [Span("payments", SERVER, at=now - age, error=age < 15, milliseconds=100.0) for age in range(1, 61)]
    _insert(engine, [*inside, *(Span("payments", SERVER, at=now - 71 - age, error=True) for age in range(100))])
    measured = Round(engine, now)
    values = {}
    for metric in ("rate", "error_rate", "p50_ms", "p95_ms", "p99_ms"):
        ((sample),) = await measured.samples(_rule(metric, service="payments"))
        assert sample.subject == {"service": "payments"}
        values[metric] = sample.value
    assert values["error_rate"] == pytest.approx(14 / 60)
    assert values["rate"] == pytest.approx(60 / 65)  # the buckets that overlap a minute cover 65 s here
    for metric in ("p50_ms", "p95_ms", "p99_ms"):
        assert values[metric] == pytest.approx(100.0, rel=0.02)


async def test_a_call_that_proxy_and_application_saw_counts_once(engine: Engine, now: float) -> None:
    spans = [Span("both", SERVER, at=now - 5, error=True) for _ in range(10)]
    spans += [proxied(Span("both", SERVER, at=now - 5), "inbound") for _ in range(20)]
    spans += [proxied(Span("both", SERVER, at=now - 5), "outbound") for _ in range(40)]
    spans += [Span("bare", SERVER, at=now - 5, error=True)]
    spans += [proxied(Span("bare", SERVER, at=now - 5))]
    spans += [proxied(Span("legacy", SERVER, at=now - 5))]
    spans += [Span("caller", CLIENT, at=now - 5)]
    _insert(engine, spans)
    errors = await Round(engine, now).samples(_rule("error_rate", service="*"))
    assert errors == [
        Sample({"service": "bare"}, 1.0),
        Sample({"service": "both"}, 0.0),
        Sample({"service": "legacy"}, 0.0),
    ]
    rates = {sample.subject["service"]: sample.value for sample in await Round(engine, now).samples(_rule("rate", service="*"))}
    assert rates["both"] == pytest.approx(20 / 65)


async def test_without_calls_there_is_no_sample_but_a_named_service_has_rate_zero(engine: Engine, now: float) -> None:
    measured = Round(engine, now)
    assert await measured.samples(_rule("error_rate", service="payments")) == []
    assert await measured.samples(_rule("p99_ms", service="*")) == []
    assert await measured.samples(_rule("rate", service="*")) == []
    assert await measured.samples(_rule("rate", service="payments")) == [Sample({"service": "payments"}, 0.0)]


async def test_an_edges_metrics_are_of_the_newest_rows_without_tombstones(engine: Engine, now: float) -> None:
    minute = now - 45
    _edge(engine, minute, "checkout", "payments", 10, 9, 10)
    _edge(engine, minute, "checkout", "payments", 100, 5, 20)  # computed again: replaces
    _edge(engine, minute - 60, "checkout", "payments", 100, 15, 20, version="v2")
    _edge(engine, minute - 120, "checkout", "payments", 1000, 1000, 9)  # before the window
    _edge(engine, minute, "checkout", "ghost", 7, 7, 10)
    _edge(engine, minute, "checkout", "ghost", 0, 0, 10)  # belonged elsewhere
    _edge(engine, minute, "external", "checkout", 50, 0, 30)
    named = {"source": "checkout", "destination": "payments"}
    measured = Round(engine, now)
    assert await measured.samples(_rule("error_rate", edge=named)) == [Sample(named, 0.1)]
    (rate,) = await measured.samples(_rule("rate", edge=named))
    assert rate.value == pytest.approx(200 / 105)
    (p99,) = await measured.samples(_rule("p99_ms", edge=named))
    assert p99.value == pytest.approx(20.0, rel=0.02)
    every = await measured.samples(_rule("error_rate", edge={"source": "*", "destination": "*"}))
    assert [tuple(sample.subject.values()) for sample in every] == [("checkout", "payments"), ("external", "checkout")]
    into = await measured.samples(_rule("rate", edge={"source": "*", "destination": "checkout"}))
    assert [sample.subject["source"] for sample in into] == ["external"]
    assert await measured.samples(_rule("rate", edge={"source": "checkout", "destination": "ghost"})) == [
        Sample({"source": "checkout", "destination": "ghost"}, 0.0)
    ]


async def test_a_name_is_a_value_and_never_sql(engine: Engine, now: float) -> None:
    assert await Round(engine, now).samples(_rule("error_rate", service="x' OR '1'='1")) == []
