"""GET /services: who takes requests, and how well."""

from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter, Depends

from core.clock import Clock
from query_api.coverage import Coverage, cover
from query_api.parameters import Answer, Asked, Instant, Windowed, upto
from query_api.questions import Questions, Row
from query_api.rollups import Rollup, suited
from query_api.signals import WITNESSES, best_witness, rated
from query_api.times import Window, moment

MAX_SERVICES = 2000


class ServiceRow(Answer):
    """One service and its golden signals over the window; ``last_seen`` is exact to the grain of its counts."""

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


async def service_rows(ask: Questions, rollup: Rollup, covered: Coverage) -> tuple[list[Row], bool]:
    """Return the services' rows, each by its best witness, busiest first, and whether there are more."""
    which = {"rollup": rollup.table, "from_s": covered.from_s, "to_s": covered.to_s}
    seen: defaultdict[str, list[Row]] = defaultdict(list)
    for row in await ask.ask("services", **which, limit=len(WITNESSES) * (MAX_SERVICES + 1)):
        seen[row["service"]].append(row)
    found = [_service(name, rows, covered.seconds) for name, rows in seen.items()]
    return upto(sorted(found, key=lambda row: (-row["rate"], row["name"])), MAX_SERVICES)


def _service(name: str, rows: list[Row], seconds: float) -> Row:
    best = best_witness(rows)
    return {
        "name": name,
        "versions": sorted({version for row in rows for version in row["versions"] if version}),
        "last_seen": moment(max(row["last_s"] for row in rows) * 1_000_000_000),
        **rated(next(row for row in rows if row["hop"] == best), seconds),
    }


def router(ask: Questions, asked: Asked, clock: Clock) -> APIRouter:
    """Return the routes of this resource."""
    routes = APIRouter()

    @routes.get("/services")
    async def services(window: Annotated[Window, Depends(asked.window)]) -> Services:
        """List the services that took requests, with their golden signals over the window."""
        kept = await ask.kept()
        rollup = suited(window, kept.holding(window))
        covered = cover(window, grain=rollup.grain_s, first_ns=kept.first_ns, now=clock.now())
        rows, truncated = await service_rows(ask, rollup, covered)
        found = sorted((ServiceRow.model_validate(row) for row in rows), key=lambda row: row.name)
        return Services(start=covered.shown.start, end=covered.shown.end, services=found, truncated=truncated)

    return routes
