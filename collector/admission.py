"""Admission: what may come in, decided before it costs memory, with an answer that says why not."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from core.faults import Fault
from storage.telemetry.engine import Signal

REQUESTS: dict[Signal, type[Message]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}


class Malformed(Fault):
    """The body is not what it claims to be; sending it again will not help."""

    code = "malformed"


class TooLarge(Fault):
    """The request is larger than the limits; send it in smaller parts."""

    code = "too_large"


class Busy(Fault):
    """There is more telemetry in flight than memory is set aside for; send the same again a little later."""

    code = "busy"
    retryable = True


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request, and all that are in flight, may take."""

    body_bytes: int = 16 * 1024 * 1024
    items_per_request: int = 100_000
    in_flight_bytes: int = 128 * 1024 * 1024


def inflate(body: bytes, *, limit: int) -> bytes:
    """Return gzip's content; raise TooLarge as soon as it passes ``limit`` bytes, Malformed when it is not gzip."""
    parts: list[bytes] = []
    left = limit
    while body:
        member = zlib.decompressobj(wbits=31)
        try:
            part = member.decompress(body, left + 1)
        except zlib.error as error:
            raise Malformed(f"the body is not gzip, though Content-Encoding says so: {error}") from None
        left -= len(part)
        if left < 0:
            raise TooLarge(f"the body inflates to more than {limit} bytes; send fewer spans in one request")
        if not member.eof:
            raise Malformed("the gzip body ends too early")
        parts.append(part)
        body = member.unused_data
    return b"".join(parts)


def check(signal: Signal, body: bytes, limits: Limits) -> int:
    """Return how many spans, log records or metrics the request holds; raise Malformed or TooLarge.

    They, and the groups that they come in, are counted before any of them is parsed: 2 KB of gzip can hold a million empty
    spans, which would take 157 MB. A metric's points are bounded like the metrics themselves, for the same reason: each
    becomes a row.
    """
    if len(body) > limits.body_bytes:
        raise TooLarge(f"the body has {len(body)} bytes, the limit is {limits.body_bytes}; send fewer spans in one request")
    request = REQUESTS[signal]
    try:
        outline = _outline("Outline").FromString(body)
        _bound("groups", len(outline.groups), limits)
        _bound("groups", sum(len(group.scopes) for group in outline.groups), limits)
        items = sum(len(scope.items) for group in outline.groups for scope in group.scopes)
        _bound("items", items, limits)
        if signal == "metrics":
            _bound("points", sum(map(_points, _items(outline))), limits)
        request.FromString(body)
    except DecodeError as error:
        reason = _hint(body) or str(error).rpartition(": ")[2]
        raise Malformed(f"the body is not a protobuf {request.DESCRIPTOR.full_name}: {reason}") from None
    return items


def _items(outline: Any) -> Iterator[bytes]:
    return (item for group in outline.groups for scope in group.scopes for item in scope.items)


def _points(metric: bytes) -> int:
    return sum(len(member.points) for _, member in _outline("Metric").FromString(metric).ListFields())


def _bound(what: str, number: int, limits: Limits) -> None:
    if number > limits.items_per_request:
        raise TooLarge(f"the request holds {number} {what}, the limit is {limits.items_per_request}; send it in parts")


def _hint(body: bytes) -> str:
    if body[:2] == b"\x1f\x8b":
        return "it is gzip; say so with Content-Encoding: gzip"
    if body.lstrip()[:1] in (b"{", b"["):
        return "it looks like JSON; send protobuf"
    return ""


@cache
def _outline(name: str) -> type[Any]:
    """Return one of the messages that show a request from afar.

    All OTLP requests are an Outline: groups of scopes of items that stay bytes. Such an item of metrics is a Metric: one
    of its members holds points that stay bytes.
    """
    file = descriptor_pb2.FileDescriptorProto(name="meshscope/outline.proto", package="meshscope", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    for message, members, inner in (
        ("Scope", {"items": 2}, ""),
        ("Group", {"scopes": 2}, "Scope"),
        ("Outline", {"groups": 1}, "Group"),
        ("Points", {"points": 1}, ""),
        ("Metric", {"gauge": 5, "sum": 7, "histogram": 9, "exponential_histogram": 10, "summary": 11}, "Points"),
    ):
        described = file.message_type.add(name=message)
        for member, number in members.items():
            described.field.add(
                name=member,
                number=number,
                type=field.TYPE_MESSAGE if inner else field.TYPE_BYTES,
                # A member that a request holds twice is merged, as its points would be.
                label=field.LABEL_OPTIONAL if message == "Metric" else field.LABEL_REPEATED,
                type_name=f".meshscope.{inner}" if inner else None,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"meshscope.{name}"))
