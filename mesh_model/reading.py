"""How each App Mesh resource is read from a document: one function per shape, in the API's own words."""

from mesh_model.document import Cursor, Fields
from mesh_model.endpoints import Dns, StaticEndpoints
from mesh_model.matches import Match, PathMatch
from mesh_model.options import Options
from mesh_model.resources import (
    IDLE_TIMEOUT_S,
    PER_REQUEST_TIMEOUT_S,
    UNLIMITED,
    Backend,
    ConnectionPool,
    Listener,
    OutlierDetection,
    Provider,
    RetryPolicy,
    Route,
    Timeout,
    VirtualNode,
    VirtualRouter,
    VirtualService,
    WeightedTarget,
)

SERVICE_TAG, VERSION_TAG = "meshscope/service", "meshscope/version"


def read_mesh_name(at: Cursor) -> str:
    """Read ``mesh``; the egress filter is checked, and only declared backends are reachable either way."""
    fields = at.fields("meshName", "spec", "tags")
    if spec := fields.get("spec"):
        inner = spec.fields("egressFilter", later=("serviceDiscovery",))
        if egress := inner.get("egressFilter"):
            egress.fields("type").need("type").choice("DROP_ALL", "ALLOW_ALL")
    return fields.need("meshName", "the mesh's name").text()


def read_virtual_service(at: Cursor) -> VirtualService:
    """Read one of ``virtualServices``."""
    fields = at.fields("virtualServiceName", "spec", "tags")
    name = fields.need("virtualServiceName", "the name applications call").text()
    provider = fields.need("spec", "a mapping with `provider`").fields("provider").get("provider")
    return VirtualService(name, read_provider(provider) if provider else None)


def read_provider(at: Cursor) -> Provider:
    """Read who answers for a virtual service."""
    kind, inner = at.fields("virtualNode", "virtualRouter").need_one("virtualNode", "virtualRouter")
    if kind == "virtualRouter":
        return Provider("virtualRouter", inner.fields("virtualRouterName").need("virtualRouterName").text())
    return Provider("virtualNode", inner.fields("virtualNodeName").need("virtualNodeName").text())


def read_virtual_router(at: Cursor) -> VirtualRouter:
    """Read one of ``virtualRouters`` with its ``routes``."""
    fields = at.fields("virtualRouterName", "spec", "routes", "tags")
    name = fields.need("virtualRouterName", "the router's name").text()
    if (spec := fields.get("spec")) and (listeners := spec.fields("listeners").get("listeners")):
        for listener in listeners.items():
            read_port_mapping(listener.fields("portMapping").need("portMapping"))
    routes = fields.get("routes")
    return VirtualRouter(name, routes=tuple(read_route(route) for route in routes.items(most=50)) if routes else ())


def read_route(at: Cursor) -> Route:
    """Read one route of a virtual router."""
    fields = at.fields("routeName", "spec", "tags")
    name = fields.need("routeName", "the route's name").text()
    spec = fields.need("spec", "a mapping with `httpRoute`").fields(
        "priority", "httpRoute", later=("http2Route", "grpcRoute", "tcpRoute")
    )
    priority = spec.get("priority")
    http = spec.need("httpRoute", "the route's match and action").fields("match", "action", "retryPolicy", "timeout")
    targets = http.need("action", "a mapping with `weightedTargets`").fields("weightedTargets").need("weightedTargets")
    retry, timeout = http.get("retryPolicy"), http.get("timeout")
    return Route(
        name=name,
        match=read_match(http.need("match", "a mapping with `prefix`")),
        targets=read_weighted_targets(targets),
        priority=priority.whole(0, 1000) if priority else None,
        retry=read_retry_policy(retry) if retry else None,
        timeout=read_timeout(timeout) if timeout else Timeout(),
    )


def read_match(at: Cursor) -> Match:
    """Read the path prefix of an http route."""
    prefix = at.fields("prefix", later=("path", "method", "scheme", "headers", "queryParameters", "port")).need("prefix")
    text = prefix.text(longest=2048)
    if text and not text.startswith("/"):
        prefix.complain(f"got `{text}`", "a prefix that starts with `/`")
    return Match(PathMatch("prefix", text))


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
        port=port.whole(1, 65535) if port else None,
    )


def read_retry_policy(at: Cursor) -> RetryPolicy:
    """Read a retry policy; the events have App Mesh's names."""
    fields = at.fields("maxRetries", "perRetryTimeout", "httpRetryEvents", "tcpRetryEvents")
    http, tcp = fields.get("httpRetryEvents"), fields.get("tcpRetryEvents")
    http_events = ("server-error", "gateway-error", "client-error", "stream-error")
    return RetryPolicy(
        max_retries=fields.need("maxRetries", "a whole number").whole(0, 100),
        per_retry_timeout_s=read_duration(fields.need("perRetryTimeout", "a duration with `unit` and `value`")),
        http_events=frozenset(event.choice(*http_events) for event in http.items(least=1, most=25)) if http else frozenset(),
        tcp_events=frozenset(event.choice("connection-error") for event in tcp.items(least=1, most=1)) if tcp else frozenset(),
    )


def read_timeout(at: Cursor) -> Timeout:
    """Read an http timeout; what is not said stays at App Mesh's default."""
    fields = at.fields("perRequest", "idle")
    per_request, idle = fields.get("perRequest"), fields.get("idle")
    return Timeout(
        per_request_s=read_duration(per_request) if per_request else PER_REQUEST_TIMEOUT_S,
        idle_s=read_duration(idle) if idle else IDLE_TIMEOUT_S,
    )


def read_duration(at: Cursor) -> float:
    """Read a duration; seconds."""
    fields = at.fields("unit", "value")
    unit = fields.need("unit", "`s` or `ms`").choice("s", "ms")
    value = fields.need("value", "a whole number").whole(0, UNLIMITED)
    return value / 1000 if unit == "ms" else float(value)


def read_port_mapping(at: Cursor) -> int:
    """Read a port mapping; only plain http is served."""
    fields = at.fields("port", "protocol")
    protocol = fields.need("protocol", "`http`")
    if protocol.choice("http", "http2", "grpc", "tcp") != "http":
        protocol.complain("http2, grpc and tcp are not served by the companion proxy yet", "`http`")
    return fields.need("port", "a port from 1 to 65535").whole(1, 65535)


def read_virtual_node(at: Cursor) -> VirtualNode:
    """Read one of ``virtualNodes``."""
    fields = at.fields("virtualNodeName", "spec", "tags")
    name = fields.need("virtualNodeName", "the node's name").text()
    tags = read_tags(fields)
    spec_at = fields.need("spec", "the node's spec")
    spec = spec_at.fields("listeners", "backends", "serviceDiscovery", later=("backendDefaults", "logging"))
    listeners, backends, discovery = spec.get("listeners"), spec.get("backends"), spec.get("serviceDiscovery")
    read_listeners = [read_listener(entry) for entry in listeners.items(most=1)] if listeners else []
    if read_listeners and not discovery:
        spec_at.complain("it has a listener but no `serviceDiscovery`", "`serviceDiscovery` beside `listeners`")
    return VirtualNode(
        name=name,
        service=tags.get(SERVICE_TAG) or name,
        version=tags.get(VERSION_TAG, ""),
        listeners=tuple(read_listeners),
        discovery=read_discovery(discovery) if discovery else None,
        backends=read_backends(backends) if backends else (),
        options=Options(tags),
    )


def read_tags(fields: Fields) -> dict[str, str]:
    """Read the tags of a resource."""
    at = fields.get("tags")
    found = {}
    for entry in at.items(most=50) if at else []:
        tag = entry.fields("key", "value")
        value = tag.get("value")
        found[tag.need("key", "the tag's key").text(longest=128)] = value.words() if value else ""
    return found


def read_listener(at: Cursor) -> Listener:
    """Read a listener and its protections."""
    fields = at.fields("portMapping", "outlierDetection", "connectionPool", "timeout", later=("healthCheck", "tls"))
    outlier, pool, timeout = fields.get("outlierDetection"), fields.get("connectionPool"), fields.get("timeout")
    http_timeout = timeout.fields("http", later=("http2", "grpc", "tcp")).get("http") if timeout else None
    return Listener(
        port=read_port_mapping(fields.need("portMapping", "`port` and `protocol`")),
        outlier_detection=read_outlier_detection(outlier) if outlier else None,
        connection_pool=read_connection_pool(pool) if pool else ConnectionPool(),
        timeout=read_timeout(http_timeout) if http_timeout else Timeout(),
    )


def read_outlier_detection(at: Cursor) -> OutlierDetection:
    """Read when an endpoint is ejected; all four members are required."""
    fields = at.fields("maxServerErrors", "interval", "baseEjectionDuration", "maxEjectionPercent")
    return OutlierDetection(
        max_server_errors=fields.need("maxServerErrors", "a whole number from 1").whole(1, UNLIMITED),
        interval_s=read_duration(fields.need("interval", "a duration")),
        base_ejection_s=read_duration(fields.need("baseEjectionDuration", "a duration")),
        max_ejection_percent=fields.need("maxEjectionPercent", "a whole number from 0 to 100").whole(0, 100),
    )


def read_connection_pool(at: Cursor) -> ConnectionPool:
    """Read the limits of an http connection pool."""
    fields = at.fields("http", later=("tcp", "http2", "grpc"))
    http = fields.need("http", "a mapping with `maxConnections`").fields("maxConnections", "maxPendingRequests")
    pending = http.get("maxPendingRequests")
    return ConnectionPool(
        max_connections=http.need("maxConnections", "a whole number from 1").whole(1, UNLIMITED),
        max_pending_requests=pending.whole(1, UNLIMITED) if pending else UNLIMITED,
    )


def read_discovery(at: Cursor) -> StaticEndpoints | Dns:
    """Read where the node's proxies are found; ``static`` is ours."""
    kind, inner = at.fields("dns", "static", later=("awsCloudMap",)).need_one("dns", "static")
    if kind == "static":
        entries = inner.fields("endpoints").need("endpoints", 'a list such as ["127.0.0.1:9001"]').items(least=1)
        return StaticEndpoints.of(*(read_address(entry) for entry in entries))
    fields = inner.fields("hostname", "responseType", later=("ipPreference",))
    response = fields.get("responseType")
    every_address = response is not None and response.choice("LOADBALANCER", "ENDPOINTS") == "ENDPOINTS"
    return Dns(fields.need("hostname", "a host name").text(), "ENDPOINTS" if every_address else "LOADBALANCER")


def read_address(at: Cursor) -> str:
    """Read ``host:port``."""
    text = at.text()
    host, colon, port = text.rpartition(":")
    if text and not (host and colon and port.isdecimal() and 0 < int(port) < 65536):
        at.complain(f"got `{text}`", "an address such as `127.0.0.1:9001`")
    return text


def read_backends(at: Cursor) -> tuple[Backend, ...]:
    """Read the virtual services a node may call; each once."""
    names: list[str] = []
    for entry in at.items(most=50):
        inner = entry.fields("virtualService").need("virtualService").fields("virtualServiceName", later=("clientPolicy",))
        name_at = inner.need("virtualServiceName", "a virtual service's name")
        name = name_at.text()
        if name and name in names:
            name_at.complain(f"`{name}` is already a backend", "each backend once")
        names.append(name)
    return tuple(Backend(name) for name in names)
