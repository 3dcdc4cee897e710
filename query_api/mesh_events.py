"""GET /mesh-events: what proxies decided or were told."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from query_api.parameters import Answer, Asked, Instant, Text, Windowed
from query_api.questions import Questions
from query_api.times import Window

MAX_EVENTS = 2000


class MeshEvent(Answer):
    """One decision of a proxy; ``trace_id`` is an example of a request that met it."""

    ts: Instant
    mesh: str
    source: str
    destination: str
    endpoint: str
    target: str
    instance: str
    type: str
    action: str
    enforced: bool
    reason: str
    numbers: dict[str, float | None]
    trace_id: str | None


class MeshEvents(Windowed):
    """Events, newest first."""

    events: list[MeshEvent]


def router(ask: Questions, asked: Asked) -> APIRouter:
    """Return the routes of this resource."""
    routes = APIRouter()

    @routes.get("/mesh-events")
    async def mesh_events(
        window: Annotated[Window, Depends(asked.window)],
        type: Text = "",
        action: Text = "",
        source: Text = "",
        destination: Text = "",
        limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = 200,
    ) -> MeshEvents:
        """List mesh events, newest first."""
        rows = await ask.ask(
            "mesh_events",
            start_ns=window.start_ns,
            end_ns=window.end_ns,
            type=type,
            action=action,
            source=source,
            destination=destination,
            limit=limit,
        )
        return MeshEvents(start=window.start, end=window.end, events=[MeshEvent.model_validate(row) for row in rows])

    return routes
