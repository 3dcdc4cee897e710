"""How the value of an attribute is shown: text as it is, arrays and key-value lists as JSON."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from pydantic import JsonValue

Read = TypeVar("Read", bound=Message)

_NESTED = "\0"

COLUMNS = {
    "http.request.method": "http_method",
    "http.route": "http_route",
    "url.path": "url_path",
    "client.address": "client_address",
    "peer.service": "peer",
    "peer.version": "peer_version",
    "upstream_cluster.name": "upstream_cluster",
    "response_flags": "response_flags",
}
"""The attributes that have a column of text of their own in ``spans``, by semantic convention."""


def resource_attributes(row: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return all attributes of a row of ``resources``; the scope stands under OpenTelemetry's names for formats without one."""
    scope = {"otel.scope.name": row["scope"], "otel.scope.version": row["scope_version"]}
    return _shown(row) | {key: text for key, text in scope.items() if text}


def span_attributes(row: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return all attributes of a row of ``spans``: what has a column of its own stands under its semantic convention."""
    rest = _shown(row)
    named = {attribute: row[column] for attribute, column in COLUMNS.items()}
    named |= {"http.response.status_code": str(row["http_status"] or ""), "http.request.resend_count": str(row["resend"] or "")}
    if row["peer"] in (rest.get(key) for key in ("db.system.name", "db.system", "messaging.system")):
        named["peer.service"] = ""
    # An upstream address that the span did not bear itself is made of these two, where it bore both.
    if not {"upstream_address", "server.address"} & rest.keys():
        named["server.address"], _, named["server.port"] = row["upstream_address"].rpartition(":")
    return {key: text for key, text in named.items() if text} | rest


def otlp_attributes(pairs: Iterable[KeyValue]) -> dict[str, JsonValue]:
    """Return attributes as OTLP bears them."""
    return {pair.key: _plain(pair.value) for pair in pairs}


def read(message: type[Read], encoded: str) -> Read:
    """Return the message that the store kept as it came, in base64; one that cannot be read is as good as empty.

    Senders' bytes are checked before they are stored. What others put on Kafka is not.
    """
    try:
        return message.FromString(b64decode(encoded))
    except DecodeError:
        return message()


def _shown(row: Mapping[str, Any]) -> dict[str, JsonValue]:
    """A zero byte says that what follows is an encoded AnyValue, in base64."""
    pairs = zip(row["keys"], row["texts"], strict=True)
    return {key: _plain(read(AnyValue, text[1:])) if text.startswith(_NESTED) else text for key, text in pairs}


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
