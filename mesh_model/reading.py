"""How each App Mesh resource is read from a document, in the API's own words."""

from typing import cast

from mesh_model.document import Cursor, Fields
from mesh_model.options import Options
from mesh_model.reading_discovery import read_discovery, read_ip_preference
from mesh_model.reading_listeners import read_gateway_listeners, read_listeners, read_router_listeners
from mesh_model.reading_routes import COMMON
from mesh_model.reading_values import read_tags
from mesh_model.resources import (
    AccessLog,
    Backend,
    EgressFilter,
    Mesh,
    Provider,
    VirtualGateway,
    VirtualNode,
    VirtualRouter,
    VirtualService,
)
from mesh_model.tag_judges import judge_gateway, judge_node, judge_others, judge_route
from mesh_model.tls import ClientTls, read_client_policy

SERVICE_TAG, VERSION_TAG = "meshscope/service", "meshscope/version"
_LONGEST_FORMAT, _LONGEST_FORMAT_PART = 1000, 100


def read_mesh(at: Cursor) -> Mesh:
    """Read ``mesh``: a mesh without anything in it yet."""
    fields = at.fields("meshName", "meshOwner", "spec", "tags")
    spec = fields.get("spec")
    inner = spec.fields("egressFilter", "serviceDiscovery") if spec else None
    egress = inner.get("egressFilter") if inner else None
    discovery = inner.get("serviceDiscovery") if inner else None
    preference = discovery.fields("ipPreference").get("ipPreference") if discovery else None
    which = egress.fields("type").need("type", "DROP_ALL or ALLOW_ALL").choice("DROP_ALL", "ALLOW_ALL") if egress else "DROP_ALL"
    return Mesh(
        name=fields.need("meshName", "the mesh's name").text(),
        egress_filter=cast("EgressFilter", which),
        ip_preference=read_ip_preference(preference) if preference else None,
        options=Options(read_tags(fields, judge_others)),
    )


def read_virtual_service(at: Cursor) -> VirtualService:
    """Read one of ``virtualServices``."""
    fields = at.fields("virtualServiceName", "spec", "tags", *COMMON)
    name = fields.need("virtualServiceName", "the name applications call").text()
    provider = fields.need("spec", "a mapping with `provider`").fields("provider").get("provider")
    return VirtualService(name, read_provider(provider) if provider else None, Options(read_tags(fields, judge_route)))


def read_provider(at: Cursor) -> Provider:
    """Read who answers for a virtual service."""
    kind, inner = at.fields("virtualNode", "virtualRouter").need_one("virtualNode", "virtualRouter")
    if kind == "virtualRouter":
        return Provider("virtualRouter", inner.fields("virtualRouterName").need("virtualRouterName").text())
    return Provider("virtualNode", inner.fields("virtualNodeName").need("virtualNodeName").text())


def read_virtual_router(at: Cursor) -> VirtualRouter:
    """Read one of ``virtualRouters``; its routes are read for themselves."""
    fields = at.fields("virtualRouterName", "spec", "routes", "tags", *COMMON)
    name = fields.need("virtualRouterName", "the router's name").text()
    spec = fields.get("spec")
    listeners = spec.fields("listeners").get("listeners") if spec else None
    return VirtualRouter(
        name, read_router_listeners(listeners) if listeners else (), options=Options(read_tags(fields, judge_others))
    )


def read_virtual_node(at: Cursor) -> VirtualNode:
    """Read one of ``virtualNodes``."""
    fields = at.fields("virtualNodeName", "spec", "tags", *COMMON)
    name = fields.need("virtualNodeName", "the node's name").text()
    tags = read_tags(fields, judge_node)
    spec_at = fields.need("spec", "the node's spec")
    spec = spec_at.fields("listeners", "backends", "backendDefaults", "serviceDiscovery", "logging")
    listeners, backends, discovery = spec.get("listeners"), spec.get("backends"), spec.get("serviceDiscovery")
    found = read_listeners(listeners) if listeners else ()
    if found and not discovery:
        spec_at.complain("it has a listener but no `serviceDiscovery`", "`serviceDiscovery` beside `listeners`")
    return VirtualNode(
        name=name,
        service=tags.get(SERVICE_TAG) or name,
        version=tags.get(VERSION_TAG, ""),
        listeners=found,
        discovery=read_discovery(discovery) if discovery else None,
        backends=read_backends(backends) if backends else (),
        backend_tls=_read_backend_defaults(spec),
        access_log=_read_logging(spec),
        options=Options(tags),
    )


def read_virtual_gateway(at: Cursor) -> VirtualGateway:
    """Read one of ``virtualGateways``; its routes are read for themselves."""
    fields = at.fields("virtualGatewayName", "spec", "gatewayRoutes", "tags", *COMMON)
    name = fields.need("virtualGatewayName", "the gateway's name").text()
    tags = read_tags(fields, judge_gateway)
    spec = fields.need("spec", "a mapping with `listeners`").fields("listeners", "backendDefaults", "logging")
    return VirtualGateway(
        name=name,
        service=tags.get(SERVICE_TAG) or name,
        version=tags.get(VERSION_TAG, ""),
        listeners=read_gateway_listeners(spec.need("listeners", "at least one listener")),
        backend_tls=_read_backend_defaults(spec),
        access_log=_read_logging(spec),
        options=Options(tags),
    )


def read_backends(at: Cursor) -> tuple[Backend, ...]:
    """Read the virtual services a node may call; each once."""
    found: list[Backend] = []
    for entry in at.items(most=50):
        inner = entry.fields("virtualService").need("virtualService").fields("virtualServiceName", "clientPolicy")
        name_at, policy = inner.need("virtualServiceName", "a virtual service's name"), inner.get("clientPolicy")
        name = name_at.text()
        if name and any(each.virtual_service == name for each in found):
            name_at.complain(f"`{name}` is already a backend", "each backend once")
        found.append(Backend(name, read_client_policy(policy) if policy else None))
    return tuple(found)


def _read_backend_defaults(spec: Fields) -> ClientTls | None:
    at = spec.get("backendDefaults")
    policy = at.fields("clientPolicy").get("clientPolicy") if at else None
    return read_client_policy(policy) if policy else None


def _read_logging(spec: Fields) -> AccessLog | None:
    at = spec.get("logging")
    log = at.fields("accessLog").get("accessLog") if at else None
    if log is None:
        return None
    fields = log.fields("file").need("file", "a mapping with `path`").fields("path", "format")
    path, shape = fields.need("path", "a path such as /dev/stdout").text(), fields.get("format")
    if shape is None:
        return AccessLog(path)
    which, inner = shape.fields("text", "json").need_one("text", "json")
    if which == "text":
        return AccessLog(path, text=inner.text(longest=_LONGEST_FORMAT))
    return AccessLog(path, json=tuple(_read_format_part(entry) for entry in inner.items(least=1)))


def _read_format_part(at: Cursor) -> tuple[str, str]:
    fields = at.fields("key", "value")
    key = fields.need("key", "a name").text(longest=_LONGEST_FORMAT_PART)
    return key, fields.need("value", "a format such as `%RESPONSE_CODE%`").text(longest=_LONGEST_FORMAT_PART)
