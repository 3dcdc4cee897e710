"""How routes are read: of virtual routers, and of virtual gateways."""

from collections.abc import Callable
from dataclasses import replace

from mesh_model.document import Cursor, Fields
from mesh_model.matches import EVERYTHING, Match
from mesh_model.options import Options
from mesh_model.reading_matches import (
    read_gateway_match,
    read_grpc_gateway_match,
    read_grpc_match,
    read_http_match,
    read_slashed,
    read_tcp_match,
)
from mesh_model.reading_values import read_duration, read_port, read_tags
from mesh_model.resources import (
    IDLE_TIMEOUT_S,
    PER_REQUEST_TIMEOUT_S,
    UNLIMITED,
    GatewayRoute,
    PortProtocol,
    RetryPolicy,
    Rewrite,
    Route,
    Timeout,
    WeightedTarget,
)
from mesh_model.tag_judges import judge_route

_ROUTES: dict[str, PortProtocol] = {"httpRoute": "http", "http2Route": "http2", "grpcRoute": "grpc", "tcpRoute": "tcp"}
_GATEWAY_ROUTES: dict[str, PortProtocol] = {"httpRoute": "http", "http2Route": "http2", "grpcRoute": "grpc"}
_HTTP_EVENTS = ("server-error", "gateway-error", "client-error", "stream-error")
_GRPC_EVENTS = ("cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable")


def read_route(at: Cursor) -> Route:
    """Read one route of a virtual router."""
    fields = at.fields("routeName", "virtualRouterName", "spec", "tags", *COMMON)
    name = fields.need("routeName", "the route's name").text()
    spec = fields.need("spec", "a mapping with `httpRoute`, `http2Route`, `grpcRoute` or `tcpRoute`").fields("priority", *_ROUTES)
    which, inner = spec.need_one(*_ROUTES)
    protocol = _ROUTES[which]
    tcp = protocol == "tcp"
    parts = inner.fields("match", "action", "timeout") if tcp else inner.fields("match", "action", "retryPolicy", "timeout")
    targets = parts.need("action", "a mapping with `weightedTargets`").fields("weightedTargets").need("weightedTargets")
    retry, timeout, priority = parts.get("retryPolicy"), parts.get("timeout"), spec.get("priority")
    return Route(
        name=name,
        match=_read_match(protocol, parts),
        targets=read_weighted_targets(targets),
        protocol=protocol,
        priority=priority.whole(0, 1000) if priority else None,
        retry=read_retry_policy(retry, grpc=protocol == "grpc") if retry else None,
        timeout=read_timeout(timeout, tcp=tcp) if timeout else default_timeout(tcp=tcp),
        options=Options(read_tags(fields, judge_route)),
    )


COMMON = ("meshName", "meshOwner")
"""What every resource may say of the mesh that it belongs to."""


def _read_match(protocol: PortProtocol, parts: Fields) -> Match:
    if protocol == "tcp":
        match = parts.get("match")
        return read_tcp_match(match) if match else EVERYTHING
    if protocol == "grpc":
        return read_grpc_match(parts.need("match", "a mapping, {} for every request"))
    return read_http_match(parts.need("match", "a mapping with `prefix` or `path`"), http2=protocol == "http2")


def read_weighted_targets(at: Cursor) -> tuple[WeightedTarget, ...]:
    """Read 1 to 10 weighted targets, at least one of which gets requests."""
    targets = tuple(read_weighted_target(entry) for entry in at.items(least=1, most=10))
    if targets and not any(target.weight for target in targets):
        at.complain("every weight is 0", "at least one weight above 0")
    return targets


def read_weighted_target(at: Cursor) -> WeightedTarget:
    """Read a virtual node and its weight."""
    fields = at.fields("virtualNode", "weight", "port")
    port = fields.get("port")
    return WeightedTarget(
        virtual_node=fields.need("virtualNode", "a virtual node's name").text(),
        weight=fields.need("weight", "a whole number from 0 to 100").whole(0, 100),
        port=read_port(port) if port else None,
    )


def read_retry_policy(at: Cursor, *, grpc: bool) -> RetryPolicy:
    """Read a retry policy; the events have App Mesh's names."""
    kinds = ("httpRetryEvents", "tcpRetryEvents", "grpcRetryEvents") if grpc else ("httpRetryEvents", "tcpRetryEvents")
    fields = at.fields("maxRetries", "perRetryTimeout", *kinds)
    if not any(kind in fields for kind in kinds):
        at.complain("it names no events", "at least one of " + ", ".join(f"`{kind}`" for kind in kinds))
    return RetryPolicy(
        max_retries=fields.need("maxRetries", "a whole number").whole(0, UNLIMITED),
        per_retry_timeout_s=read_duration(fields.need("perRetryTimeout", "a duration with `unit` and `value`")),
        http_events=_read_events(fields.get("httpRetryEvents"), _HTTP_EVENTS, most=25),
        tcp_events=_read_events(fields.get("tcpRetryEvents"), ("connection-error",), most=1),
        grpc_events=_read_events(fields.get("grpcRetryEvents"), _GRPC_EVENTS, most=5),
    )


def _read_events(at: Cursor | None, allowed: tuple[str, ...], *, most: int) -> frozenset[str]:
    return frozenset(event.choice(*allowed) for event in at.items(least=1, most=most)) if at else frozenset()


def read_timeout(at: Cursor, *, tcp: bool = False) -> Timeout:
    """Read a timeout; what is not said stays at App Mesh's default. A tcp connection has no requests."""
    fields = at.fields("idle") if tcp else at.fields("perRequest", "idle")
    per_request, idle = fields.get("perRequest"), fields.get("idle")
    default = default_timeout(tcp=tcp)
    return Timeout(
        per_request_s=read_duration(per_request) if per_request else default.per_request_s,
        idle_s=read_duration(idle) if idle else default.idle_s,
    )


def default_timeout(*, tcp: bool) -> Timeout:
    """Return App Mesh's."""
    return Timeout(0.0 if tcp else PER_REQUEST_TIMEOUT_S, IDLE_TIMEOUT_S)


def read_gateway_route(at: Cursor) -> GatewayRoute:
    """Read one route of a virtual gateway."""
    fields = at.fields("gatewayRouteName", "virtualGatewayName", "spec", "tags", *COMMON)
    name = fields.need("gatewayRouteName", "the gateway route's name").text()
    spec = fields.need("spec", "a mapping with `httpRoute`, `http2Route` or `grpcRoute`").fields("priority", *_GATEWAY_ROUTES)
    which, inner = spec.need_one(*_GATEWAY_ROUTES)
    protocol, priority = _GATEWAY_ROUTES[which], spec.get("priority")
    parts = inner.fields("match", "action")
    read_match: Callable[[Cursor], Match] = read_grpc_gateway_match if protocol == "grpc" else read_gateway_match
    match = read_match(parts.need("match", "a mapping that says which requests"))
    action = parts.need("action", "a mapping with `target`").fields("target", "rewrite")
    target = action.need("target", "a mapping with `virtualService`").fields("virtualService", "port")
    service_at = target.need("virtualService", "a mapping with `virtualServiceName`").fields("virtualServiceName")
    service = service_at.need("virtualServiceName", "a virtual service's name").text()
    port, rewrite = target.get("port"), action.get("rewrite")
    default = Rewrite(host=service, prefix="/" if match.path.kind == "prefix" and protocol != "grpc" else None)
    return GatewayRoute(
        name=name,
        virtual_service=service,
        protocol=protocol,
        match=match,
        rewrite=read_rewrite(rewrite, default, match, grpc=protocol == "grpc") if rewrite else default,
        priority=priority.whole(0, 1000) if priority else None,
        port=read_port(port) if port else None,
        options=Options(read_tags(fields, judge_route)),
    )


def read_rewrite(at: Cursor, default: Rewrite, match: Match, *, grpc: bool) -> Rewrite:
    """Read what is changed in a request; by default its host, and its matched prefix to ``/``."""
    fields = at.fields("hostname") if grpc else at.fields("hostname", "prefix", "path")
    hostname, prefix, path = fields.get("hostname"), fields.get("prefix"), fields.get("path")
    found = default
    if hostname and _is_disabled(hostname.fields("defaultTargetHostname").get("defaultTargetHostname")):
        found = replace(found, host=None)
    if prefix and path:
        at.complain("got `prefix` and `path`", "at most one of `prefix`, `path`")
    if prefix:
        if match.path.kind != "prefix":
            prefix.complain("the route matches by no prefix", "`path`, or a match by `prefix`")
        found = replace(found, prefix=_read_prefix_rewrite(prefix))
    if path:
        exact = path.fields("exact").need("exact", "a path that starts with `/`")
        found = replace(found, prefix=None, path=read_slashed(exact, "a path that starts with `/`"))
    return found


def _read_prefix_rewrite(at: Cursor) -> str | None:
    which, inner = at.fields("defaultPrefix", "value").need_one("defaultPrefix", "value")
    if which == "defaultPrefix":
        return None if _is_disabled(inner) else "/"
    value = inner.text()
    if value and not (value.startswith("/") and value.endswith("/")):
        inner.complain(f"got `{value}`", "a prefix that starts and ends with `/`")
    return value


def _is_disabled(at: Cursor | None) -> bool:
    return at is not None and at.choice("ENABLED", "DISABLED") == "DISABLED"
