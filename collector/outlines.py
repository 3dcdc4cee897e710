"""Outlines: OTLP requests, parsed so that C code counts and compares what a loop over spans in Python would."""

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from storage.telemetry.engine import Signal

REQUESTS: dict[Signal, type[Message]] = {
    "traces": trace_service_pb2.ExportTraceServiceRequest,
    "logs": logs_service_pb2.ExportLogsServiceRequest,
    "metrics": metrics_service_pb2.ExportMetricsServiceRequest,
}
ITEMS: dict[Signal, type[Message]] = {"traces": trace_pb2.Span, "logs": logs_pb2.LogRecord, "metrics": metrics_pb2.Metric}

KINDS = {"gauge": 5, "sum": 7, "histogram": 9, "exponential_histogram": 10, "summary": 11}
"""What a metric's points may be, by the field that holds them."""

LISTS = frozenset({"resource_spans", "scope_spans", "spans", "resource_logs", "scope_logs", "log_records"}) | frozenset(
    {"resource_metrics", "scope_metrics", "metrics", "data_points"}
)
"""The lists that lead to spans, log records and points."""

_FILES = (common_pb2, resource_pb2, trace_pb2, logs_pb2, metrics_pb2)
_SERVICES = (trace_service_pb2, logs_service_pb2, metrics_service_pb2)
_GATHERED = {"Span": {"trace_id", "span_id", "parent_span_id"}, "NumberDataPoint": {"as_double", "as_int"}}

_OUTLINES: dict[str, dict[str, tuple[int, str]]] = {
    "Outline": {"groups": (1, "Group")},
    "Group": {"resource": (1, ""), "scopes": (2, "Scope")},
    "Scope": {"scope": (1, ""), "items": (2, "")},
    # A kind that a metric holds twice is merged, as its points would be.
    "Metric": {"name": (1, ""), "unit": (3, "")} | {kind: (number, "Points") for kind, number in KINDS.items()},
    "Points": {"points": (1, "")},
    "Span": {"trace_id": (1, ""), "span_id": (2, ""), "parent_span_id": (4, "")},
}
_OUTLINE_LISTS = {"groups", "scopes", "items", "points"}

_Field = descriptor_pb2.FieldDescriptorProto


@cache
def merged(signal: Signal, *, counting: bool) -> type[Any]:
    """Return the request's message, with all its spans, log records or points made one.

    Protobuf merges what comes several times but is no list: so that one span holds the attributes of all of them, and, as
    lists, all their ids. It reads what the request's own message reads, and refuses what that refuses. Unless it is for
    ``counting``, what is in the spans is merged too, attributes and all: nothing has to be kept of it, which is faster.
    """
    pool = descriptor_pool.DescriptorPool()
    for module in (*_FILES, *_SERVICES):
        file = descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
        for message in file.message_type:
            _merge(message, counting=counting)
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(REQUESTS[signal].DESCRIPTOR.full_name))


def _merge(message: descriptor_pb2.DescriptorProto, *, counting: bool) -> None:
    del message.oneof_decl[:]  # one metric of many kinds is many metrics of one kind each
    for nested in message.nested_type:
        _merge(nested, counting=counting)
    for field in message.field:
        field.ClearField("oneof_index")
        field.ClearField("proto3_optional")
        if field.name in LISTS or (field.type == _Field.TYPE_MESSAGE and not counting):
            field.label = _Field.LABEL_OPTIONAL
        elif field.name in _GATHERED.get(message.name, ()):
            field.label = _Field.LABEL_REPEATED


@cache
def outline(name: str) -> type[Any]:
    """Return one of the messages that show a request from afar.

    All OTLP requests are an Outline: groups of a resource and scopes of items that stay bytes. An item of traces is a Span,
    seen by its ids; one of metrics is a Metric, and one of its members holds points that stay bytes. What an outline does not
    know is kept in it, as always in protobuf.
    """
    file = descriptor_pb2.FileDescriptorProto(name="meshscope/outline.proto", package="meshscope", syntax="proto3")
    for message, members in _OUTLINES.items():
        described = file.message_type.add(name=message)
        for member, (number, inner) in members.items():
            described.field.add(
                name=member,
                number=number,
                type=_Field.TYPE_MESSAGE if inner else _Field.TYPE_BYTES,
                label=_Field.LABEL_REPEATED if member in _OUTLINE_LISTS else _Field.LABEL_OPTIONAL,
                type_name=f".meshscope.{inner}" if inner else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"meshscope.{name}"))
