"""How the small shapes that many resources share are read: names, ports, durations, tags."""

from collections.abc import Callable, Mapping
from typing import cast

from mesh_model.document import Cursor, Fields
from mesh_model.options import Options
from mesh_model.resources import UNLIMITED, PortMapping, PortProtocol
from mesh_model.tag_words import TagProblem

PROTOCOLS: tuple[PortProtocol, ...] = ("http", "http2", "grpc", "tcp")
GATEWAY_PROTOCOLS: tuple[PortProtocol, ...] = ("http", "http2", "grpc")


def read_port(at: Cursor) -> int:
    """Read a port."""
    return at.whole(1, 65535)


def read_protocol(at: Cursor, allowed: tuple[PortProtocol, ...] = PROTOCOLS) -> PortProtocol:
    """Read what is spoken at a port."""
    return cast("PortProtocol", at.choice(*allowed))


def read_port_mapping(at: Cursor, allowed: tuple[PortProtocol, ...] = PROTOCOLS) -> PortMapping:
    """Read a port and what is spoken there."""
    fields = at.fields("port", "protocol")
    protocol = read_protocol(fields.need("protocol", "one of " + ", ".join(f"`{each}`" for each in allowed)), allowed)
    return PortMapping(read_port(fields.need("port", "a port from 1 to 65535")), protocol)


def read_duration(at: Cursor) -> float:
    """Read a duration; seconds."""
    fields = at.fields("unit", "value")
    unit = fields.need("unit", "`s` or `ms`").choice("s", "ms")
    value = fields.need("value", "a whole number").whole(0, UNLIMITED)
    return value / 1000 if unit == "ms" else float(value)


def read_tags(fields: Fields, judge: Callable[[Mapping[str, str]], object]) -> dict[str, str]:
    """Read the tags of a resource; ``judge`` raises TagProblem when it does not understand one of ours."""
    at = fields.get("tags")
    found = {}
    for entry in at.items(most=50) if at else []:
        tag = entry.fields("key", "value")
        value = tag.get("value")
        found[tag.need("key", "the tag's key").text(longest=128)] = value.words(longest=256) if value else ""
    if at:
        try:
            judge(Options(found))
        except TagProblem as problem:
            at.complain(problem.problem, problem.expected)
    return found


def each_port_once(at: Cursor, ports: list[int]) -> None:
    """Note the listeners of ``at`` that share a port."""
    twice = sorted({port for port in ports if ports.count(port) > 1})
    if twice:
        at.complain(f"port {twice[0]} has more than one listener", "each port once")
