"""Serves metrics at /metrics, for commands that have no other page."""

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cli.receivers import start
from cli.servers import HttpServer, address
from collector.counts import Counts
from collector.metrics import published
from collector.readings import Gauged

log = logging.getLogger(__name__)


async def serve_metrics(
    stack: AsyncExitStack, host: str, port: int, counts: Counts, gauged: Sequence[Gauged], *, name: str = "metrics"
) -> None:
    """Serve until ``stack`` closes; port 0 switches it off."""
    if port:
        registry = published(counts, gauged)

        async def metrics(_: Request) -> Response:
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

        app = Starlette(routes=[Route("/metrics", metrics)])
        await start(stack, HttpServer(app, host, port, name=name, lifespan=False))
        log.info("metrics on http://%s/metrics", address(host, port))
