"""How is read where the proxies of a virtual node are found; ``static`` and ``file`` are Meshscope's."""

import re
from typing import cast

from mesh_model.document import Cursor
from mesh_model.endpoints import (
    CloudMap,
    Discovery,
    Dns,
    DnsResponse,
    FileEndpoints,
    IpPreference,
    StaticEndpoint,
    StaticEndpoints,
)
from mesh_model.reading_values import read_port

_KINDS = ("dns", "awsCloudMap", "static", "file")
_LONGEST_NAME = 1024
_ATTRIBUTE_KEY = re.compile(r"[a-zA-Z0-9!-~]+")
_ATTRIBUTE_VALUE = re.compile(r"([a-zA-Z0-9!-~][ \ta-zA-Z0-9!-~]*)?[a-zA-Z0-9!-~]?")


def read_discovery(at: Cursor) -> Discovery:
    """Read a node's ``serviceDiscovery``."""
    kind, inner = at.fields(*_KINDS).need_one(*_KINDS)
    if kind == "static":
        entries = inner.fields("endpoints").need("endpoints", 'a list such as ["127.0.0.1:9001"]').items(least=1)
        return StaticEndpoints(tuple(_read_endpoint(entry) for entry in entries))
    if kind == "file":
        return FileEndpoints(inner.fields("path").need("path", "the path of a file with addresses").text(longest=4096))
    return _read_cloud_map(inner) if kind == "awsCloudMap" else _read_dns(inner)


def read_ip_preference(at: Cursor) -> IpPreference:
    """Read which addresses are asked for."""
    return cast("IpPreference", at.choice("IPv6_PREFERRED", "IPv4_PREFERRED", "IPv4_ONLY", "IPv6_ONLY"))


def _read_dns(at: Cursor) -> Dns:
    fields = at.fields("hostname", "responseType", "ipPreference")
    response, preference = fields.get("responseType"), fields.get("ipPreference")
    return Dns(
        hostname=fields.need("hostname", "a host name").text(),
        response=cast("DnsResponse", response.choice("LOADBALANCER", "ENDPOINTS")) if response else "LOADBALANCER",
        ip_preference=read_ip_preference(preference) if preference else None,
    )


def _read_cloud_map(at: Cursor) -> CloudMap:
    fields = at.fields("namespaceName", "serviceName", "attributes", "ipPreference")
    attributes, preference = fields.get("attributes"), fields.get("ipPreference")
    return CloudMap(
        namespace=fields.need("namespaceName", "a Cloud Map namespace").text(longest=_LONGEST_NAME),
        service=fields.need("serviceName", "a Cloud Map service").text(longest=_LONGEST_NAME),
        attributes=tuple(_read_attribute(entry) for entry in attributes.items()) if attributes else (),
        ip_preference=read_ip_preference(preference) if preference else None,
    )


def _read_attribute(at: Cursor) -> tuple[str, str]:
    fields = at.fields("key", "value")
    key, value = fields.need("key", "an attribute's name"), fields.need("value", "an attribute's value")
    pair = key.text(), value.text(longest=_LONGEST_NAME)
    if pair[0] and not _ATTRIBUTE_KEY.fullmatch(pair[0]):
        key.complain(f"got `{pair[0]}`", "visible ASCII characters, no spaces")
    if pair[1] and not _ATTRIBUTE_VALUE.fullmatch(pair[1]):
        value.complain(f"got `{pair[1]}`", "visible ASCII characters, spaces only between them")
    return pair


def _read_endpoint(at: Cursor) -> StaticEndpoint:
    if not at.is_mapping:
        return StaticEndpoint(read_address(at))
    fields = at.fields("address", "zone", "port")
    zone, port = fields.get("zone"), fields.get("port")
    return StaticEndpoint(
        address=read_address(fields.need("address", "an address such as `127.0.0.1:9001`")),
        zone=zone.text() if zone else "",
        port=read_port(port) if port else None,
    )


def read_address(at: Cursor) -> str:
    """Read ``host:port``."""
    text = at.text()
    host, colon, port = text.rpartition(":")
    if text and not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        at.complain(f"got `{text}`", "an address such as `127.0.0.1:9001`")
    return text
