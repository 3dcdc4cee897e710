"""GET /services: who takes requests, and how well."""

from typing import Annotated

from fastapi import APIRouter, Depends

from core.clock import Clock
from query_api.coverage import cover
from query_api.parameters import Answer, Asked, Instant, Windowed, upto
from query_api.questions import Questions, Row
from query_api.times import Window

MAX_SERVICES = 2000
GRAIN_S = 10


class ServiceRow(Answer):
    """One service and its golden signals over the window; ``last_seen`` is exact to ten seconds."""

    name: str
    versions: list[str]
    rate: float
    error_rate: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    last_seen: Instant


class Services(Windowed):
    """Every service that took requests in the window, by name; ``truncated``: only the busiest ones."""

    services: list[ServiceRow]
    truncated: bool


async def service_rows(ask: Questions, asked: Window, now: float) -> tuple[list[Row], bool]:
    """Return the services' rows, busiest first, and whether there are more."""
    covered = cover(asked, grain=GRAIN_S, first_ns=await ask.first_ns(), now=now)
    rows = await ask.ask("services", from_s=covered.from_s, to_s=covered.to_s, seconds=covered.seconds, limit=MAX_SERVICES + 1)
    return upto(rows, MAX_SERVICES)


def router(ask: Questions, asked: Asked, clock: Clock) -> APIRouter:
    """Return the routes of this resource."""
    routes = APIRouter()

    @routes.get("/services")
    async def services(window: Annotated[Window, Depends(asked.window)]) -> Services:
        """List the services that took requests, with their golden signals over the window."""
        rows, truncated = await service_rows(ask, window, clock.now())
        found = sorted((ServiceRow.model_validate(row) for row in rows), key=lambda row: row.name)
        return Services(start=window.start, end=window.end, services=found, truncated=truncated)

    return routes
