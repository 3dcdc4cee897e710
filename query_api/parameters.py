"""What questions may say: parameters that every endpoint reads alike."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Path, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, ConfigDict

from core.clock import Clock
from query_api.faults import InvalidParameter
from query_api.times import Window, window

# No name holds control characters; what does is an attack or an accident.
PLAIN = r"^[^\x00-\x1f\x7f]*$"
MAX_LENGTH = 512

Instant = Annotated[datetime, AfterValidator(lambda t: t.astimezone(UTC))]
Text = Annotated[str, Query(max_length=MAX_LENGTH, pattern=PLAIN)]
ServiceName = Annotated[str, Path(max_length=MAX_LENGTH, pattern=PLAIN, description="The service's name.")]
# The pattern is for readers of the description: what does not match it is told better by times.py.
_A_TIME = (
    "^(now(-[0-9]{1,9}[smhd])?|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2}))$"
)
Time = Annotated[
    str,
    Query(
        max_length=64,
        pattern=PLAIN,
        description="RFC 3339, now, or now-15m (units s, m, h, d).",
        json_schema_extra={"pattern": _A_TIME},
    ),
]


class Answer(BaseModel):
    """What every answer has in common."""

    model_config = ConfigDict(frozen=True)


class Windowed(Answer):
    """An answer about a stretch of time; ``start`` and ``end`` are the resolved ones."""

    start: Instant
    end: Instant


class Asked:
    """Reads the window that a request asks about."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def window(self, start: Time = "now-15m", end: Time = "now") -> Window:
        """Return the window between the parameters ``start`` and ``end``. Raises InvalidTime."""
        return window(start, end, self._clock.now())


async def no_strangers(request: Request) -> None:
    """Refuse parameters that the endpoint does not know: a misspelt filter must not look like an answer."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = _names(route.dependant)
    for name in request.query_params:
        if name not in known:
            raise InvalidParameter(f"There is no parameter {name[:64]!r} here; known are: {', '.join(sorted(known)) or 'none'}.")


def _names(dependant: Dependant) -> set[str]:
    own = {field.alias for field in dependant.query_params}
    return own.union(*(_names(inner) for inner in dependant.dependencies))


def upto(rows: list[Any], limit: int) -> tuple[list[Any], bool]:
    """Return the first ``limit`` rows and whether there are more."""
    return rows[:limit], len(rows) > limit
