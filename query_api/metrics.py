"""GET /metrics: which metrics came in."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends

from query_api.parameters import Answer, Asked, Instant, Text, Windowed, upto
from query_api.questions import Questions
from query_api.times import Window

MAX_METRICS = 2000


class MetricRow(Answer):
    """One metric of one service; ``last_value`` is the newest of any of its series.

    It is null for histograms and summaries, and when the newest is no number.
    """

    service: str
    name: str
    unit: str
    kind: Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]
    points: int
    series: int
    last_value: float | None
    last_seen: Instant


class Metrics(Windowed):
    """Every metric with a point in the window, by service and name; ``truncated``: only the first 2000."""

    metrics: list[MetricRow]
    truncated: bool


def router(ask: Questions, asked: Asked) -> APIRouter:
    """Return the routes of this resource."""
    routes = APIRouter()

    @routes.get("/metrics")
    async def metrics(window: Annotated[Window, Depends(asked.window)], service: Text = "", name: Text = "") -> Metrics:
        """List the metrics that applications and proxies sent."""
        which = {"start_ns": window.start_ns, "end_ns": window.end_ns, "service": service, "metric": name}
        rows, truncated = upto(await ask.ask("metrics", **which, limit=MAX_METRICS + 1), MAX_METRICS)
        found = [MetricRow.model_validate(row) for row in rows]
        return Metrics(start=window.start, end=window.end, metrics=found, truncated=truncated)

    return routes
