"""GET /circuit-breakers: which circuits were open, and when."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends

from core.clock import Clock
from query_api.parameters import Answer, Asked, Instant, Windowed, upto
from query_api.questions import Questions, Row
from query_api.times import Window

State = Literal["closed", "open", "half_open"]
MAX_BREAKERS = 2000
# A breaker that works tries again within minutes; after an hour of silence its proxy is gone rather than its circuit open.
BELIEVED_NS = 3_600_000_000_000


class Interval(Answer):
    """A stretch of time in one state."""

    state: State
    start: Instant
    end: Instant


class Breaker(Answer):
    """The circuit of one caller to one target; ``state`` is the one at the end of the window."""

    source: str
    destination: str
    target: str
    state: State
    intervals: list[Interval]


class CircuitBreakers(Windowed):
    """Every circuit breaker that was heard of in the window or the hour before it."""

    edges: list[Breaker]
    truncated: bool


def believed_from_ns(moment_ns: int) -> int:
    """Return since when a breaker's last word still counts at a moment; both in nanoseconds since the Unix epoch."""
    return max(0, moment_ns - BELIEVED_NS)


def router(ask: Questions, asked: Asked, clock: Clock) -> APIRouter:
    """Return the routes of this resource."""
    routes = APIRouter()

    @routes.get("/circuit-breakers")
    async def circuit_breakers(window: Annotated[Window, Depends(asked.window)]) -> CircuitBreakers:
        """Show the states of every circuit breaker over the window, up to now."""
        rows = await ask.ask(
            "circuit_breakers",
            start_ns=window.start_ns,
            end_ns=max(window.start_ns + 1, min(window.end_ns, int(clock.now() * 1e9))),
            believed_from_ns=believed_from_ns(window.start_ns),
            limit=MAX_BREAKERS + 1,
        )
        found, truncated = upto(rows, MAX_BREAKERS)
        return CircuitBreakers(start=window.start, end=window.end, edges=[_breaker(row) for row in found], truncated=truncated)

    return routes


def _breaker(row: Row) -> Breaker:
    intervals = [{"start": start, "end": end, "state": state} for start, end, state in row["intervals"]]
    return Breaker.model_validate({**row, "intervals": intervals})
