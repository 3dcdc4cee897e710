"""The query API as one application, alone or as a part of another."""

from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi.routing import APIRouter
from starlette.routing import Mount

from core.clock import Clock
from query_api import alerts as alert_resource
from query_api import attributes, circuit_breakers, golden_signals, health, mesh_events, metrics, services, topology, traces
from query_api.alerts import AlertReader
from query_api.parameters import Asked, no_strangers
from query_api.problems import documented, install_problems
from query_api.questions import Questions
from storage.telemetry.engine import Engine


def create_api(engine: Engine, alerts: AlertReader, clock: Clock) -> FastAPI:
    """Return an application with the API under /api/v1, its description at /api/openapi.json, /healthz and /readyz."""
    app = FastAPI(title="Meshscope", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    install_problems(app)
    install(app, engine, alerts, clock)
    return app


def install(app: FastAPI, engine: Engine, alerts: AlertReader, clock: Clock) -> None:
    """Put the API in front of what ``app`` already answers; its errors and its description stay its own."""
    ask = Questions(engine)
    app.router.routes[:0] = [*health.probes(ask).routes, Mount("/api", app=_api(ask, alerts, clock), name="query_api")]


def _api(ask: Questions, alerts: AlertReader, clock: Clock) -> FastAPI:
    number, asked = version("meshscope"), Asked(clock)
    # The description needs no page of its own, which would load scripts from elsewhere.
    api = FastAPI(title="Meshscope", version=number, docs_url=None, redoc_url=None, redirect_slashes=False)
    install_problems(api)
    v1 = APIRouter(prefix="/v1", dependencies=[Depends(no_strangers)], responses=documented())
    for resource in (
        golden_signals.router(ask, asked, clock),
        services.router(ask, asked, clock),
        topology.router(ask, asked, clock),
        traces.router(ask, asked),
        mesh_events.router(ask, asked),
        metrics.router(ask, asked),
        attributes.router(ask, asked),
        circuit_breakers.router(ask, asked, clock),
        alert_resource.router(alerts),
        health.router(ask, number),
    ):
        v1.include_router(resource)
    api.include_router(v1)
    return api
