"""The gRPC door tells what it is: health, and reflection for tools that have no .proto files."""

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.fakes.processes import Meshscope

TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"


@pytest.mark.parametrize("service", ["", TRACES])
def test_it_is_healthy(meshscope: Meshscope, service: str) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{meshscope.otlp_grpc}") as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_its_services_and_their_messages_can_be_asked_for(meshscope: Meshscope) -> None:
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=TRACES),
    ]
    with grpc.insecure_channel(f"127.0.0.1:{meshscope.otlp_grpc}") as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        listed, file = stub.ServerReflectionInfo(iter(asked), timeout=10)
    assert TRACES in {service.name for service in listed.list_services_response.service}
    assert file.file_descriptor_response.file_descriptor_proto
