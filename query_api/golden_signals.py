"""GET /services/{name}/golden-signals: rate, errors, latency and saturation of one service over time."""

import asyncio
from collections.abc import Iterable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from core.clock import Clock
from query_api.coverage import Coverage, cover
from query_api.faults import NotFound
from query_api.parameters import Answer, Asked, Instant, ServiceName, Windowed, upto
from query_api.questions import Questions, Row
from query_api.rollups import dividing, suited
from query_api.signals import best_witness, rated
from query_api.times import Window, moment, step_s

MAX_POINTS = 1000
MAX_GROUPS = 20


class Point(Answer):
    """One step; ``in_flight`` is the mean number of requests at work at once."""

    t: Instant
    rate: float
    error_rate: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    in_flight: float


class Total(Answer):
    """The whole window.

    ``slowest_trace`` and ``failed_trace`` are traces to look at: of the slowest request, and of one of the newest that failed.
    """

    calls: int
    errors: int
    rate: float
    error_rate: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    slowest_trace: str | None
    failed_trace: str | None


class Series(Answer):
    """One group: a version, a route, a zone, or everything ("")."""

    group: str
    points: list[Point]
    total: Total


class GoldenSignals(Windowed):
    """A point per step for the part of the window that has data; ``step_s`` may be wider than asked for.

    ``truncated``: there are more groups; these are the busiest.
    """

    service: str
    step_s: int
    series: list[Series]
    truncated: bool


NOTHING = Total(
    calls=0, errors=0, rate=0, error_rate=0, p50_ms=None, p95_ms=None, p99_ms=None, slowest_trace=None, failed_trace=None
)


def points(rows: Iterable[Row], covered: Coverage, step: int) -> list[Point]:
    """Return a point for each step that overlaps the covered part; a step without a row had no requests.

    A step counts the seconds of it that are covered. ``in_flight`` is Little's law: the time spent in requests, over the time
    that passed.
    """
    known = {}
    for row in rows:
        seconds = max(1.0, min(float(row["t_s"] + step), covered.until) - max(float(row["t_s"]), covered.since))
        known[row["t_s"]] = {**rated(row, seconds), "in_flight": row["spent_ns"] / 1e9 / seconds}
    quiet = {"rate": 0, "error_rate": 0, "p50_ms": None, "p95_ms": None, "p99_ms": None, "in_flight": 0}
    first = int(covered.since) // step * step
    steps = range(first, -(-int(covered.until * 1000) // 1000), step) if covered.until > covered.since else range(0)
    return [Point.model_validate({**known.get(t, quiet), "t": moment(t * 1_000_000_000)}) for t in steps]


def router(ask: Questions, asked: Asked, clock: Clock) -> APIRouter:
    """Return the routes of this resource."""
    routes = APIRouter()

    @routes.get("/services/{name:path}/golden-signals")
    async def golden_signals(
        name: ServiceName,
        window: Annotated[Window, Depends(asked.window)],
        step: Annotated[
            str,
            Query(
                max_length=64,
                description="The length of a step, a multiple of 10s; units s, m, h, d.",
                json_schema_extra={"pattern": "^[1-9][0-9]{0,6}[smhd]$"},
            ),
        ] = "10s",
        by: Annotated[
            Literal["", "version", "route", "zone"], Query(description="One series for each version, route or zone.")
        ] = "",
    ) -> GoldenSignals:
        """Show one service's golden signals over time."""
        kept = await ask.kept()
        holding = kept.holding(window)
        length = step_s(step, window, grain=holding[0].grain_s, most=MAX_POINTS)
        rollup = suited(window, holding)
        covered = cover(window, grain=rollup.grain_s, first_ns=kept.first_ns, now=clock.now())
        which = {"service": name, "from_s": covered.from_s, "to_s": covered.to_s, "by": by}
        grouped = ["grouped"] if by else []
        rows = await ask.ask("golden_signals_totals", *grouped, **which, rollup=rollup.table, limit=MAX_GROUPS + 1)
        if not rows and not (await ask.one("service_known", service=name))["known"]:
            raise NotFound(f"Nothing was heard from a service named {name!r}.")
        hop = best_witness(rows)
        totals, truncated = upto([row for row in rows if row["hop"] == hop], MAX_GROUPS)
        steps: list[Row] = []
        if totals:
            finer = dividing(length, holding, coarsest=rollup)
            which |= {"hop": hop, "groups": [row["group"] for row in totals if by]}
            steps = await ask.ask("golden_signals_points", *grouped, **which, step=length, rollup=finer.table)
        series = await asyncio.to_thread(_series, totals, steps, covered, length)
        if not series and not by:
            series = [Series(group="", points=points([], covered, length), total=NOTHING)]
        shown = covered.shown
        return GoldenSignals(service=name, start=shown.start, end=shown.end, step_s=length, series=series, truncated=truncated)

    return routes


def _series(totals: list[Row], steps: list[Row], covered: Coverage, length: int) -> list[Series]:
    """Rows that are not of a group are of the group ""."""
    grouped: dict[str, list[Row]] = {total.get("group", ""): [] for total in totals}
    for step in steps:
        grouped[step.get("group", "")].append(step)
    return [
        Series(group=group, points=points(grouped[group], covered, length), total=_total(total, covered.seconds))
        for group, total in zip(grouped, totals, strict=True)
    ]


def _total(row: Row, seconds: float) -> Total:
    traces = {"slowest_trace": _trace(row["slowest"]), "failed_trace": _trace(row["failed"])}
    return Total.model_validate({**row, **rated(row, seconds), **traces})


def _trace(trace_id: bytes) -> str | None:
    return trace_id.hex() if any(trace_id) else None
