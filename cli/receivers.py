"""Opens the doors for telemetry: the same for every command that takes some."""

import logging
from contextlib import AsyncExitStack

from cli.servers import HttpServer, PortTaken, address, bind
from cli.settings import Settings
from collector.admission import Limits
from collector.intake import Intake
from collector.receivers.otlp_grpc import OtlpGrpc
from collector.receivers.otlp_http import OtlpHttp

log = logging.getLogger(__name__)

GRACE_S = 5.0


async def open_doors(stack: AsyncExitStack, settings: Settings, intake: Intake) -> None:
    """Listen where the settings say; the doors close when ``stack`` does."""
    if settings.otlp_http_port:
        app = OtlpHttp(intake)
        await start(stack, HttpServer(app, settings.host, settings.otlp_http_port, name="otlp-http", lifespan=False))
        log.info("OTLP/HTTP on http://%s", address(settings.host, settings.otlp_http_port))
    if settings.otlp_grpc_port:
        await start(stack, _grpc(intake, settings))
        log.info("OTLP/gRPC on %s", address(settings.host, settings.otlp_grpc_port))


def limits_of(settings: Settings) -> Limits:
    """Return how much may come in."""
    return Limits(
        body_bytes=settings.max_body_bytes,
        items_per_request=settings.max_items_per_request,
        in_flight_bytes=settings.max_in_flight_bytes,
        values_per_request=settings.max_values_per_request,
        copied_bytes=settings.max_copied_bytes,
    )


async def start(stack: AsyncExitStack, server: HttpServer | OtlpGrpc) -> None:
    """Start a server that stops when ``stack`` closes."""
    stack.push_async_callback(server.stop, GRACE_S)
    await server.start()


def _grpc(intake: Intake, settings: Settings) -> OtlpGrpc:
    # grpcio tells of a port that is taken in its own words on standard error; ours come first.
    bind(settings.host, settings.otlp_grpc_port, "otlp-grpc").close()
    try:
        return OtlpGrpc(intake, address(settings.host, settings.otlp_grpc_port))
    except RuntimeError as error:  # what grpcio raises when it cannot bind
        raise PortTaken(f"cannot listen for OTLP/gRPC: {error}; choose another port with --otlp-grpc-port.") from None
