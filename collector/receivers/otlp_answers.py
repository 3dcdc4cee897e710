"""What an OTLP sender is answered: that all was accepted, or how much was not, and why."""

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsPartialSuccess, ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse

from collector.sift import Admitted
from storage.telemetry.engine import Signal


def answer_to(signal: Signal, admitted: Admitted) -> Message:
    """Return the Export*ServiceResponse: an empty one when everything was accepted."""
    number, text = admitted.refused, admitted.message
    match signal:
        case "traces":
            refused_spans = ExportTracePartialSuccess(rejected_spans=number, error_message=text)
            return ExportTraceServiceResponse(partial_success=refused_spans if number else None)
        case "logs":
            refused_records = ExportLogsPartialSuccess(rejected_log_records=number, error_message=text)
            return ExportLogsServiceResponse(partial_success=refused_records if number else None)
        case "metrics":
            refused_points = ExportMetricsPartialSuccess(rejected_data_points=number, error_message=text)
            return ExportMetricsServiceResponse(partial_success=refused_points if number else None)
