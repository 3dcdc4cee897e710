"""The local bus on a real store: what is odd, refused for a while, or unreadable costs the rest nothing."""

import asyncio
import itertools
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.admission import Limits, Malformed
from collector.bus_local import LocalBuses
from collector.counts import Counts
from collector.intake import Intake
from core.clock import SystemClock
from core.wire import inside
from storage.telemetry.engine import Engine, Signal, StoreUnavailable
from tests.fakes.spans import SERVER, Span, request

FULL = "MESHSCOPE_TEST_ALL_FAULTS" in os.environ
REFUSES_S = 60 if FULL else 4
KEYS = 1_000_000 if FULL else 60_000
KEYS_PER_SPAN, SPANS_PER_REQUEST = 125, 40

pytestmark = pytest.mark.timeout(1500 if FULL else 200)


class Refusing:
    """A real store that refuses everything until told otherwise."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.refuses, self.refused = False, 0

    def insert(self, signal: Signal, requests: Sequence[bytes], token: str) -> None:
        if self.refuses:
            self.refused += 1
            raise StoreUnavailable("refused")
        self._engine.insert(signal, requests, token)

    def query(self, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self._engine.query(sql, parameters)

    def command(self, sql: str, parameters: Mapping[str, Any] | None = None) -> None:
        self._engine.command(sql, parameters)

    def close(self) -> None:
        pass


async def _intake(engine: Engine, directory: Path) -> tuple[LocalBuses, Intake]:
    limits, counts = Limits(), Counts()
    buses = LocalBuses(engine, directory, SystemClock(), limits, counts)
    await buses.start()
    return buses, Intake(buses, limits, counts)


def _counts(engine: Engine) -> tuple[int, int, int, int]:
    (row,) = engine.query(
        """SELECT (SELECT count() FROM spans) AS spans, (SELECT uniqExact(trace_id, span_id) FROM spans) AS distinct_spans,
                  (SELECT sum(spans) FROM trace_index) AS indexed, (SELECT sum(calls) FROM golden_signals_10s) AS calls""",
        {},
    )
    return row["spans"], row["distinct_spans"], row["indexed"], row["calls"]


async def test_a_store_that_refuses_for_a_while_gets_everything_once(engine: Engine, tmp_path: Path) -> None:
    store = Refusing(engine)
    buses, intake = await _intake(store, tmp_path)
    ending = time.monotonic() + 2 + REFUSES_S
    answered = told = 0

    async def send() -> None:
        nonlocal answered, told
        while time.monotonic() < ending:
            body = request(Span("load", SERVER) for _ in range(10))
            while True:
                try:
                    await intake.take("traces", body)
                    break
                except StoreUnavailable:
                    told += 1
            answered += 10

    senders = [asyncio.create_task(send()) for _ in range(4)]
    await asyncio.sleep(1)
    store.refuses = True
    await asyncio.sleep(REFUSES_S)
    store.refuses = False
    await asyncio.gather(*senders)
    await buses.close()
    assert store.refused > 1
    assert told > 0 or REFUSES_S < 10  # who waits longer than exporters do is told to send again
    assert _counts(engine) == (answered, answered, answered, answered)


async def test_poison_among_good_requests_of_one_group(engine: Engine, tmp_path: Path) -> None:
    buses, intake = await _intake(engine, tmp_path)
    ids = inside((1,), b"t" * 16) + inside((2,), b"s" * 8)
    poison = [
        inside((1, 2, 2), ids + b"\x28" + bytes([5 + n])) for n in range(3)
    ]  # names that are numbers: only the store can tell
    good = [request([Span("good", SERVER), Span("good", SERVER)]) for _ in range(40)]
    mixed = [body for group in itertools.zip_longest(good, poison) for body in group if body]
    answers = await asyncio.gather(*(intake.take("traces", body) for body in mixed), return_exceptions=True)
    await buses.close()
    assert [type(answer) for answer, body in zip(answers, mixed, strict=True) if body in poison] == [Malformed] * 3
    assert not [answer for answer, body in zip(answers, mixed, strict=True) if body in good and isinstance(answer, Exception)]
    assert _counts(engine) == (80, 80, 80, 80)


def _every_month(first: int, last: int) -> list[int]:
    month_ns = 30 * 86_400 * 10**9
    return [month * month_ns for month in range((first - 1970) * 12, (last - 1970) * 12)]


async def test_timestamps_from_1970_to_2100_open_few_partitions_and_keep_their_originals(engine: Engine, tmp_path: Path) -> None:
    traces, logs, metrics = ExportTraceServiceRequest(), ExportLogsServiceRequest(), ExportMetricsServiceRequest()
    spans = traces.resource_spans.add().scope_spans.add().spans
    records = logs.resource_logs.add().scope_logs.add().log_records
    points = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="m").gauge.data_points
    times = _every_month(1970, 2100)
    for number, at in enumerate(times, 1):
        spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            kind=2,  # type: ignore[arg-type]
            start_time_unix_nano=at,
            end_time_unix_nano=at + 10**6,
        )
        records.add(time_unix_nano=at).body.string_value = "x"
        points.add(time_unix_nano=at, as_int=number)
    buses, intake = await _intake(engine, tmp_path)
    for signal, message in (("traces", traces), ("logs", logs), ("metrics", metrics)):
        await intake.take(signal, message.SerializeToString())  # type: ignore[arg-type]
    await buses.close()
    parts = engine.query(
        """SELECT table, uniqExact(partition) AS partitions FROM system.parts
           WHERE active AND database = currentDatabase() GROUP BY table""",
        {},
    )
    assert max(row["partitions"] for row in parts) <= 11  # a week, a day before and a day after, and midnight meanwhile
    for table in ("spans", "logs", "metric_points"):
        rows = engine.query(
            f"SELECT mapFilter((k, v) -> startsWith(k, 'meshscope.original'), attributes) AS kept FROM {table}", {}
        )
        originals = {int(time) for row in rows for name, time in row["kept"].items() if "end" not in name}
        week = [at for at in times if abs(at - time.time_ns()) < 8 * 86_400 * 10**9]
        assert len(rows) == len(times), table
        assert originals >= set(times) - set(week) - {0}, table  # 0 says that there is no time


async def test_a_great_many_attribute_keys(engine: Engine, tmp_path: Path) -> None:
    buses, intake = await _intake(engine, tmp_path)
    keys = itertools.count()
    for _ in range(KEYS // (KEYS_PER_SPAN * SPANS_PER_REQUEST)):
        spans = [
            Span("keys", SERVER, attributes={f"key-{next(keys)}": "v" for _ in range(KEYS_PER_SPAN)})
            for _ in range(SPANS_PER_REQUEST)
        ]
        await intake.take("traces", request(spans))
    await buses.close()
    (row,) = engine.query(
        "SELECT uniqExact(arrayJoin(mapKeys(attributes))) AS keys, max(length(attributes)) AS most FROM spans", {}
    )
    assert (row["keys"], row["most"]) == (KEYS, KEYS_PER_SPAN)
    (found,) = engine.query(
        "SELECT count() AS spans FROM spans WHERE attributes[{key:String}] = 'v'", {"key": f"key-{KEYS // 2}"}
    )
    assert found["spans"] == 1
