"""Admission: what may come in, decided before it costs memory, with an answer that says why not."""

import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from core.faults import Fault
from storage.telemetry.engine import Signal

REQUESTS: dict[Signal, type[Message]] = {"traces": ExportTraceServiceRequest, "logs": ExportLogsServiceRequest}


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
    """Return how many spans or log records the request holds; raise Malformed or TooLarge.

    They, and the groups that they come in, are counted before any of them is parsed: 2 KB of gzip can hold a million empty
    spans, which would take 157 MB.
    """
    if len(body) > limits.body_bytes:
        raise TooLarge(f"the body has {len(body)} bytes, the limit is {limits.body_bytes}; send fewer spans in one request")
    request = REQUESTS[signal]
    try:
        outline = _outline().FromString(body)
        _bound("groups", len(outline.groups), limits)
        _bound("groups", sum(len(group.scopes) for group in outline.groups), limits)
        items = sum(len(scope.items) for group in outline.groups for scope in group.scopes)
        _bound("items", items, limits)
        request.FromString(body)
    except DecodeError as error:
        reason = _hint(body) or str(error).rpartition(": ")[2]
        raise Malformed(f"the body is not a protobuf {request.DESCRIPTOR.full_name}: {reason}") from None
    return items


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
def _outline() -> type[Any]:
    """Return the message that all OTLP requests look like from afar: groups of scopes of items that stay bytes."""
    file = descriptor_pb2.FileDescriptorProto(name="meshscope/outline.proto", package="meshscope", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    for name, member, number, kind in (
        ("Scope", "items", 2, field.TYPE_BYTES),
        ("Group", "scopes", 2, field.TYPE_MESSAGE),
        ("Outline", "groups", 1, field.TYPE_MESSAGE),
    ):
        inner = {"items": "", "scopes": ".meshscope.Scope", "groups": ".meshscope.Group"}[member]
        file.message_type.add(name=name).field.add(
            name=member, number=number, type=kind, label=field.LABEL_REPEATED, type_name=inner or None
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("meshscope.Outline"))
