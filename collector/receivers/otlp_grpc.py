"""OTLP over gRPC: generic handlers, so that the request stays bytes; with health and reflection."""

from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from collector.admission import Busy, Malformed, TooLarge
from collector.intake import Intake
from collector.receivers.otlp_answers import answer_to
from core.faults import Fault
from storage.telemetry.engine import Signal

_SERVICES: dict[str, Signal] = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}
_CODES: dict[type[Fault], grpc.StatusCode] = {
    Malformed: grpc.StatusCode.INVALID_ARGUMENT,
    TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Busy: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_RETRY_S = 2


class OtlpGrpc:
    """Receives the Export calls of traces, logs and metrics; answers when the request is durable."""

    def __init__(self, intake: Intake, address: str) -> None:
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", intake.limits.body_bytes),  # holds for the inflated message too
                ("grpc.max_metadata_size", 16 * 1024),
                # Clients may ask whether we are there, but no more than every ten seconds; who is gone is noticed.
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.keepalive_timeout_ms", 20_000),
                ("grpc.max_concurrent_streams", 128),
                ("grpc.so_reuseport", 0),  # a second process must fail to bind, not share the port
            ],
            maximum_concurrent_rpcs=1024,
        )
        for service, signal in _SERVICES.items():
            handlers = {"Export": grpc.unary_unary_rpc_method_handler(_export(intake, signal))}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self.port: int = self._server.add_insecure_port(address)

    async def start(self) -> None:
        """Begin to serve."""
        await self._server.start()
        for service in ("", *_SERVICES):
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float) -> None:
        """Take no new calls; give those under way ``grace_s`` to end."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)


def _export(intake: Intake, signal: Signal) -> Any:
    async def export(body: bytes, context: Any) -> bytes:
        try:
            admitted = await intake.take(signal, body)
        except Fault as fault:
            await _refuse(context, fault)
            raise  # never reached: the refusal ends the call
        return answer_to(signal, admitted).SerializeToString()

    return export


async def _refuse(context: Any, fault: Fault) -> None:
    code = _CODES.get(type(fault), grpc.StatusCode.UNAVAILABLE if fault.retryable else grpc.StatusCode.INTERNAL)
    if fault.retryable:
        # Clients send the same again only after a RESOURCE_EXHAUSTED that says when.
        status = Status(code=code.value[0], message=str(fault))
        status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=_RETRY_S)))
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(code, str(fault))
