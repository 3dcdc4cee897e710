"""OTLP's JSON, made the protobuf that it stands for.

OTLP differs from protobuf's own JSON in one thing: ids of traces and spans are hex, not base64
(https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
"""

import base64
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from collector.admission import Limits, Malformed, TooLarge
from collector.outlines import ITEMS
from core.wire import inside
from storage.telemetry.engine import Signal

SHARE = 4
"""JSON may take a quarter of the bytes that protobuf may: parsed, each of its bytes weighs several."""

_IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}
"""Names of ids, with their bytes. They cannot be attributes: an attribute's name is a value in OTLP's JSON."""

_LISTS: dict[Signal, tuple[str, str, str]] = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}
_GROUPS, _SHARED, _MEMBERS, _SCHEMA_URL = 1, 1, 2, 3
"""Numbers of fields: of a request's groups, and of what groups and scopes have."""

_DEPTH = 64


def to_protobuf(signal: Signal, body: bytes, limits: Limits) -> bytes:
    """Return the request as protobuf; members that OTLP does not know are passed over, as it demands.

    Spans, log records and metrics are parsed one after the other, for parsed JSON takes ten times its bytes. An id that is
    none becomes one byte in a span, for which the span is refused, and nothing elsewhere. Raises TooLarge, or Malformed with
    what is wrong and where.
    """
    values = sum(map(body.count, (b"{", b"[", b",")))
    if values > limits.values_per_request:
        raise TooLarge(
            f"the JSON body holds about {values} values, the limit is {limits.values_per_request} (max_values_per_request);"
            " send it in parts"
        )
    try:
        content = msgspec.json.decode(body, type=_form(signal))
        return b"".join(_groups(signal, content))
    except msgspec.ValidationError as error:
        raise Malformed(f"the body is not an OTLP request in JSON: {error}") from None
    except msgspec.DecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise Malformed(f"the body is nested more than {_DEPTH} levels deep") from None


@cache
def _form(signal: Signal) -> type[msgspec.Struct]:
    """Return the shape of a request, as far as its items, whose JSON stays as it is."""
    groups, scopes, items = _LISTS[signal]
    shared, url = ("shared", msgspec.Raw, msgspec.Raw()), ("url", str | None, None)
    scope = msgspec.defstruct(
        "Scope", [("members", list[msgspec.Raw] | None, None), shared, url],
        rename={"members": items, "shared": "scope", "url": "schemaUrl"},
    )  # fmt: skip
    group = msgspec.defstruct(
        "Group", [("members", list[scope] | None, None), shared, url],  # type: ignore[valid-type]
        rename={"members": scopes, "shared": "resource", "url": "schemaUrl"},
    )  # fmt: skip
    return msgspec.defstruct("Request", [("members", list[group] | None, None)], rename={"members": groups})  # type: ignore[valid-type]


def _groups(signal: Signal, content: Any) -> Iterator[bytes]:
    groups, scopes, items = _LISTS[signal]
    for number, group in enumerate(content.members or []):
        at = f"{groups}[{number}]"
        parts = [*_shared(Resource, group, f"{at}.resource")]
        for second, scope in enumerate(group.members or []):
            within = f"{at}.{scopes}[{second}]"
            inner = [*_shared(InstrumentationScope, scope, f"{within}.scope")]
            for third, item in enumerate(scope.members or []):
                inner.append(inside((_MEMBERS,), _encoded(signal, ITEMS[signal], item, f"{within}.{items}[{third}]")))
            parts.append(inside((_MEMBERS,), b"".join(inner)))
        yield inside((_GROUPS,), b"".join(parts))


def _shared(message: type[Message], owner: Any, where: str) -> Iterator[bytes]:
    if bytes(owner.shared):
        yield inside((_SHARED,), _encoded("logs", message, owner.shared, where))
    if owner.url:
        yield inside((_SCHEMA_URL,), owner.url.encode())


def _encoded(signal: Signal, message: type[Message], text: msgspec.Raw, where: str) -> bytes:
    content = msgspec.json.decode(text)
    if content is None:
        return b""
    if not isinstance(content, dict):
        raise Malformed(f"the body is not an OTLP request in JSON: {where} is a {type(content).__name__}; expected an object")
    _hex_to_base64(content, otherwise=b"?" if signal == "traces" else b"")
    try:
        parsed = json_format.ParseDict(content, message(), ignore_unknown_fields=True, max_recursion_depth=_DEPTH)
    except json_format.ParseError as error:
        raise Malformed(f"the body is not an OTLP request in JSON: {where}: {error}") from None
    return parsed.SerializeToString()


def _hex_to_base64(value: Any, *, otherwise: bytes) -> None:
    if isinstance(value, list):
        for member in value:
            _hex_to_base64(member, otherwise=otherwise)
    elif isinstance(value, dict):
        for name, member in value.items():
            if name in _IDS:
                value[name] = base64.b64encode(_id(member, _IDS[name], otherwise)).decode()
            else:
                _hex_to_base64(member, otherwise=otherwise)


def _id(text: Any, length: int, otherwise: bytes) -> bytes:
    """Return what hex digits stand for; an id may be empty, such as a root's parent."""
    try:
        raw = bytes.fromhex(text)
    except (TypeError, ValueError):
        return b"" if text is None else otherwise
    return raw if len(raw) in (0, length) else otherwise
