"""GET /healthz, /readyz and /api/v1/status: whether this works, and how much it holds."""

import asyncio
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import Field

from core.faults import Fault
from query_api.parameters import Answer, Instant
from query_api.problems import fault_problem
from query_api.questions import Questions
from storage.telemetry.engine import StoreUnavailable

PATIENCE_S = 3.0


class Health(Answer):
    """Whether it works."""

    status: str


class Status(Answer):
    """How much is stored, and since when; null when nothing is.

    ``spans_left_out`` came when their traces had all the spans that a trace may have; at most so many are not stored.
    """

    version: str
    spans_stored: Annotated[int, Field(ge=0)]
    logs_stored: Annotated[int, Field(ge=0)]
    spans_left_out: Annotated[int, Field(ge=0)]
    oldest: Instant | None
    newest: Instant | None
    bytes_on_disk: Annotated[int, Field(ge=0)]


def probes(ask: Questions) -> APIRouter:
    """Return /healthz and /readyz, which stand at the root."""
    routes = APIRouter()

    @routes.get("/healthz")
    async def healthz() -> Health:
        """Say that this process answers."""
        return Health(status="ok")

    @routes.get("/readyz", response_model=Health)
    async def readyz() -> Health | JSONResponse:
        """Say whether the store answers."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await ask.ask("alive")
        except TimeoutError:
            return fault_problem(StoreUnavailable(f"The store did not answer within {PATIENCE_S:g} s."))
        except Fault as fault:
            return fault_problem(fault)
        return Health(status="ready")

    return routes


def router(ask: Questions, version: str) -> APIRouter:
    """Return the routes of this resource."""
    routes = APIRouter()

    @routes.get("/status")
    async def status() -> Status:
        """Say how much is stored, and since when."""
        return Status.model_validate({**await ask.one("status"), "version": version})

    return routes
