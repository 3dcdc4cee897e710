"""Serves the dashboard and the query API; loaded only when they are wanted, for they take as long to load as all the rest."""

import logging
from contextlib import AsyncExitStack

import httpx
from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware

import dashboard.app
import query_api.app
from cli.receivers import start
from cli.servers import HttpServer, address
from cli.settings import Settings
from core.clock import Clock
from storage.state.alert_store import AlertStore
from storage.telemetry.engine import Engine

log = logging.getLogger(__name__)


async def serve_pages(stack: AsyncExitStack, settings: Settings, engine: Engine, alerts: AlertStore, clock: Clock) -> None:
    """Answer on the settings' port until ``stack`` closes."""
    app = FastAPI(title="Meshscope", openapi_url=None, docs_url=None, redoc_url=None)
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=4)
    query_api.app.install(app, engine, alerts, clock)
    # The dashboard asks the API by HTTP, but needs no socket for it in the same process.
    asking = httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://query-api/api/v1",
        headers={"accept-encoding": "identity"},
        timeout=30,
    )
    await stack.enter_async_context(asking)
    dashboard.app.mount(app, asking)
    await start(stack, HttpServer(app, settings.host, settings.http_port, name="http", lifespan=True))
    log.info("dashboard and API on http://%s", address(settings.host, settings.http_port))
