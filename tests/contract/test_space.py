"""The store keeps its budget: whole days go, the oldest first, from every table."""

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from collector.counts import Counts
from collector.space_guard import SpaceGuard
from core.clock import SystemClock
from storage.telemetry.engine import Engine
from storage.telemetry.space import make_room
from tests.fakes.spans import SERVER, Span, request

DAY_S = 86_400


def _day(days_ago: int) -> str:
    return f"{datetime.now(UTC) - timedelta(days=days_ago):%Y%m%d}"


def _fill(engine: Engine) -> None:
    for days_ago in range(4):
        spans = [Span("shop", SERVER, at=time.time() - days_ago * DAY_S) for _ in range(200)]
        engine.insert("traces", [request(spans)], uuid4().hex)


def _days(engine: Engine, table: str) -> list[str]:
    rows = engine.query(f"SELECT DISTINCT formatDateTime(ts, '%Y%m%d', 'UTC') AS day FROM {table} ORDER BY day", {})
    return [row["day"] for row in rows]


def test_nothing_goes_while_all_fits(engine: Engine) -> None:
    _fill(engine)
    assert make_room(engine, budget_bytes=10**12, today=_day(0)) == []
    assert len(_days(engine, "spans")) == 4


def test_the_oldest_days_go_until_the_rest_fits(engine: Engine) -> None:
    _fill(engine)
    sizes = {row["day"]: row["bytes"] for row in engine.query(_SIZES, {})}
    budget = sum(sizes.values()) - sizes[_day(3)] - 1  # one day less is one byte too much
    dropped = make_room(engine, budget_bytes=budget, today=_day(0))
    assert [(each.day, each.bytes) for each in dropped] == [(day, sizes[day]) for day in (_day(3), _day(2))]
    for table in ("spans", "golden_signals_10s"):
        assert _days(engine, table) == [_day(1), _day(0)]


def test_today_stays_however_large_it_is(engine: Engine) -> None:
    _fill(engine)
    make_room(engine, budget_bytes=0, today=_day(0))
    assert _days(engine, "spans") == [_day(0)]


async def test_the_guard_counts_what_it_drops(engine: Engine) -> None:
    _fill(engine)
    counts = Counts()
    await SpaceGuard(engine, SystemClock(), counts, budget_bytes=0).look()
    assert counts.dropped_days["over_budget"] == 3
    assert _days(engine, "spans") == [_day(0)]


_SIZES = """
SELECT partition_id AS day, sum(bytes_on_disk) AS bytes FROM system.parts
WHERE database = currentDatabase() AND active AND length(partition_id) = 8 GROUP BY day
"""
