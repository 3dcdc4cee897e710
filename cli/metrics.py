"""Serves metrics at /metrics, for commands that have no other page."""

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack

from starlette.applications import Starlette
from starlette.routing import Route

from cli.receivers import start
from cli.servers import HttpServer
from collector.counts import Counts
from collector.metrics import metrics_app
from collector.readings import Gauged

log = logging.getLogger(__name__)


async def serve_metrics(
    stack: AsyncExitStack, host: str, port: int, counts: Counts, gauged: Sequence[Gauged], *, name: str = "metrics"
) -> None:
    """Serve until ``stack`` closes; port 0 switches it off."""
    if port:
        app = Starlette(routes=[Route("/metrics", metrics_app(counts, gauged))])
        await start(stack, HttpServer(app, host, port, name=name, lifespan=False))
        log.info("metrics on http://%s:%d/metrics", host, port)
