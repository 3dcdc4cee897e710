"""How the value of an attribute is shown: text as it is, arrays and key-value lists as JSON."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import cast

from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from pydantic import JsonValue

_NESTED = "\0"


def shown(attributes: Mapping[str, str]) -> dict[str, JsonValue]:
    """Return attributes as spans keep them: a zero byte says that what follows is an encoded AnyValue, in base64."""
    return {key: _decoded(text[1:]) if text.startswith(_NESTED) else text for key, text in attributes.items()}


def shown_encoded(attributes: Mapping[str, str]) -> dict[str, JsonValue]:
    """Return attributes as events and links keep them: each value an encoded AnyValue, in base64."""
    return {key: _decoded(encoded) for key, encoded in attributes.items()}


def _decoded(encoded: str) -> JsonValue:
    return _plain(AnyValue.FromString(b64decode(encoded)))


def _plain(value: AnyValue) -> JsonValue:
    """Scalars read as they do in the store, as text; bytes as base64."""
    member = value.WhichOneof("value")
    if member == "array_value":
        return [_plain(each) for each in value.array_value.values]
    if member == "kvlist_value":
        return {each.key: _plain(each.value) for each in value.kvlist_value.values}
    if member == "bytes_value":
        return b64encode(value.bytes_value).decode()
    if member == "bool_value":
        return "true" if value.bool_value else "false"
    return "" if member is None else str(cast("str | int | float", getattr(value, member)))
