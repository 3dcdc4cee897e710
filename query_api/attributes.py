"""GET /attributes: which attributes spans and their resources bear."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from query_api.parameters import Answer, Asked, Instant, Text, Windowed, upto
from query_api.questions import Questions, Row
from query_api.times import Window, moment

MAX_ATTRIBUTES = 1000
_DAY_S = 86_400
_READS_AS = {1: "text", 2: "number", 4: "boolean", 8: "nested"}


class AttributeRow(Answer):
    """One name; ``share`` of the spans looked at bear it, ``values`` are a few that they bear, cut at 128 characters.

    ``reads_as`` is what all values read as: the types that they were sent with are not kept. ``__other__`` stands for all names
    that are beyond the bound of 1000 for a service, day and scope. Of services at most 1000 are named.
    """

    scope: Literal["span", "resource"]
    name: str
    share: float
    reads_as: Literal["text", "number", "boolean", "nested", "mixed"]
    services: list[str]
    values: list[str]
    last_seen: Instant


class Attributes(Windowed):
    """Attributes of whole days, those of most spans first; they are known from the ``spans_looked_at``, not from all.

    ``truncated``: only the first 1000.
    """

    attributes: list[AttributeRow]
    spans_looked_at: int
    truncated: bool


def router(ask: Questions, asked: Asked) -> APIRouter:
    """Return the routes of this resource."""
    routes = APIRouter()

    @routes.get("/attributes")
    async def attributes(
        window: Annotated[Window, Depends(asked.window)],
        service: Text = "",
        scope: Literal["span", "resource", ""] = "",
        name: Text = "",
        limit: Annotated[int, Query(ge=1, le=MAX_ATTRIBUTES)] = MAX_ATTRIBUTES,
    ) -> Attributes:
        """List the attributes that the days of the window saw, with a few of their values."""
        from_s, to_s = window.grid(_DAY_S)
        which = {"from_s": from_s, "to_s": to_s, "service": service, "scope": scope, "attribute": name}
        rows, truncated = upto(await ask.ask("attributes", **which, limit=limit + 1), limit)
        return Attributes(
            start=moment(from_s * 1_000_000_000),
            end=moment(to_s * 1_000_000_000),
            attributes=[_attribute(row) for row in rows],
            spans_looked_at=rows[0]["looked_at"] if rows else 0,
            truncated=truncated,
        )

    return routes


def _attribute(row: Row) -> AttributeRow:
    told = {
        "share": min(1.0, row["spans"] / max(row["looked_at"], 1)),
        "reads_as": _READS_AS.get(row["reads_as"], "mixed"),
        "values": row["samples"],
    }
    return AttributeRow.model_validate({**row, **told})
