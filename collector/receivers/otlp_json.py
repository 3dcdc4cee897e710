"""OTLP's JSON, made the protobuf that it stands for.

OTLP differs from protobuf's own JSON in one thing: ids of traces and spans are hex, not base64
(https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
"""

import base64
from typing import Any

import msgspec
from google.protobuf import json_format
from google.protobuf.message import Message

from collector.admission import REQUESTS, Malformed
from storage.telemetry.engine import Signal

_IDS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}
"""Names of ids, with their hex digits. They cannot be attributes: an attribute's name is a value in OTLP's JSON."""

_DEPTH = 64


def to_protobuf(signal: Signal, body: bytes) -> bytes:
    """Return the request as protobuf; members that OTLP does not know are passed over, as it demands.

    Raises Malformed, with what is wrong and where.
    """
    try:
        content = msgspec.json.decode(body)
        if not isinstance(content, dict):
            raise Malformed(f'the body is a JSON {type(content).__name__}; expected an object such as {{"resourceSpans": []}}')
        _hex_to_base64(content, "")
        request: Message = json_format.ParseDict(
            content, REQUESTS[signal](), ignore_unknown_fields=True, max_recursion_depth=_DEPTH
        )
    except msgspec.DecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from None
    except json_format.ParseError as error:
        raise Malformed(f"the body is not an OTLP request in JSON: {error}") from None
    except RecursionError:
        raise Malformed(f"the body is nested more than {_DEPTH} levels deep") from None
    return request.SerializeToString()


def _hex_to_base64(value: Any, where: str) -> None:
    if isinstance(value, list):
        for number, member in enumerate(value):
            _hex_to_base64(member, f"{where}[{number}]")
    elif isinstance(value, dict):
        for name, member in value.items():
            if name in _IDS:
                value[name] = _id(name, member, f"{where}.{name}".lstrip("."))
            else:
                _hex_to_base64(member, f"{where}.{name}")


def _id(name: str, text: Any, where: str) -> str:
    """Return base64 for hex; an id may be empty, such as a root's parent."""
    try:
        raw = bytes.fromhex(text)
    except (TypeError, ValueError):
        raw = b"?"
    if len(raw) * 2 not in (0, _IDS[name]):
        raise Malformed(f"{where} is {str(text)[:80]!r}; expected {_IDS[name]} hex digits")
    return base64.b64encode(raw).decode()
