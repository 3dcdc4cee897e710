"""How listeners are read, of virtual nodes and of virtual gateways: what is spoken there, and what protects it."""

from mesh_model.document import Cursor, Fields
from mesh_model.reading_routes import default_timeout, read_timeout
from mesh_model.reading_values import (
    GATEWAY_PROTOCOLS,
    PROTOCOLS,
    each_port_once,
    read_duration,
    read_port,
    read_port_mapping,
    read_protocol,
)
from mesh_model.resources import (
    NO_LIMITS,
    UNLIMITED,
    ConnectionPool,
    HealthCheck,
    Listener,
    OutlierDetection,
    PortMapping,
    PortProtocol,
)
from mesh_model.tls import read_listener_tls


def read_listeners(at: Cursor) -> tuple[Listener, ...]:
    """Read the listeners of a virtual node, each at a port of its own."""
    return _each(at, [read_listener(entry) for entry in at.items()])


def read_gateway_listeners(at: Cursor) -> tuple[Listener, ...]:
    """Read the listeners of a virtual gateway; there is at least one."""
    return _each(at, [read_gateway_listener(entry) for entry in at.items(least=1)])


def read_router_listeners(at: Cursor) -> tuple[PortMapping, ...]:
    """Read where a virtual router listens."""
    found = [read_port_mapping(entry.fields("portMapping").need("portMapping")) for entry in at.items()]
    each_port_once(at, [mapping.port for mapping in found])
    return tuple(found)


def _each(at: Cursor, found: list[Listener]) -> tuple[Listener, ...]:
    each_port_once(at, [listener.port for listener in found])
    return tuple(found)


def read_listener(at: Cursor) -> Listener:
    """Read a listener of a virtual node and its protections."""
    fields = at.fields("portMapping", "healthCheck", "outlierDetection", "connectionPool", "timeout", "tls")
    bare = _read_listener(fields, PROTOCOLS)
    outlier, timeout = fields.get("outlierDetection"), fields.get("timeout")
    of_timeout = _of_protocol(timeout, "timeout", bare.protocol, PROTOCOLS) if timeout else None
    tcp = bare.protocol == "tcp"
    return Listener(
        port=bare.port,
        protocol=bare.protocol,
        outlier_detection=read_outlier_detection(outlier) if outlier else None,
        connection_pool=bare.connection_pool,
        timeout=read_timeout(of_timeout, tcp=tcp) if of_timeout else default_timeout(tcp=tcp),
        health_check=bare.health_check,
        tls=bare.tls,
    )


def read_gateway_listener(at: Cursor) -> Listener:
    """Read a listener of a virtual gateway."""
    return _read_listener(at.fields("portMapping", "healthCheck", "connectionPool", "tls"), GATEWAY_PROTOCOLS)


def _read_listener(fields: Fields, allowed: tuple[PortProtocol, ...]) -> Listener:
    """Read what both kinds of listeners have."""
    mapping = read_port_mapping(fields.need("portMapping", "`port` and `protocol`"), allowed)
    check, pool, tls = fields.get("healthCheck"), fields.get("connectionPool"), fields.get("tls")
    return Listener(
        port=mapping.port,
        protocol=mapping.protocol,
        connection_pool=read_connection_pool(pool, mapping.protocol, allowed) if pool else NO_LIMITS,
        health_check=read_health_check(check, allowed) if check else None,
        tls=read_listener_tls(tls) if tls else None,
    )


def _of_protocol(at: Cursor, what: str, protocol: PortProtocol, allowed: tuple[PortProtocol, ...]) -> Cursor | None:
    """Return the one member of a union over the protocols; it must be the listener's."""
    which, inner = at.fields(*allowed).need_one(*allowed)
    if which == protocol:
        return inner
    inner.complain(f"the {what} is for `{which}`, the listener speaks `{protocol}`", f"`{protocol}` here")
    return None


def read_connection_pool(at: Cursor, protocol: PortProtocol, allowed: tuple[PortProtocol, ...] = PROTOCOLS) -> ConnectionPool:
    """Read the limits of a connection pool; the protocol must be the listener's."""
    inner = _of_protocol(at, "connection pool", protocol, allowed)
    if inner is None:
        return NO_LIMITS
    expected = f"a whole number from 1 to {UNLIMITED}"
    if protocol in ("http2", "grpc"):
        return ConnectionPool(max_requests=inner.fields("maxRequests").need("maxRequests", expected).whole(1, UNLIMITED))
    fields = inner.fields("maxConnections", "maxPendingRequests") if protocol == "http" else inner.fields("maxConnections")
    pending = fields.get("maxPendingRequests")
    return ConnectionPool(
        max_connections=fields.need("maxConnections", expected).whole(1, UNLIMITED),
        max_pending_requests=pending.whole(1, UNLIMITED) if pending else UNLIMITED,
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


def read_health_check(at: Cursor, allowed: tuple[PortProtocol, ...] = PROTOCOLS) -> HealthCheck:
    """Read how endpoints are asked whether they are well; a path goes with http and http2."""
    fields = at.fields("protocol", "path", "port", "healthyThreshold", "unhealthyThreshold", "intervalMillis", "timeoutMillis")
    protocol = read_protocol(fields.need("protocol", "what is spoken for the check"), allowed)
    path, port = fields.get("path"), fields.get("port")
    if path and protocol not in ("http", "http2"):
        path.complain(f"a {protocol} check has no path", "`path` with `http` and `http2` only")
    return HealthCheck(
        protocol=protocol,
        healthy_threshold=fields.need("healthyThreshold", "a whole number from 2 to 10").whole(2, 10),
        unhealthy_threshold=fields.need("unhealthyThreshold", "a whole number from 2 to 10").whole(2, 10),
        interval_s=fields.need("intervalMillis", "a whole number from 5000 to 300000").whole(5000, 300_000) / 1000,
        timeout_s=fields.need("timeoutMillis", "a whole number from 2000 to 60000").whole(2000, 60_000) / 1000,
        path=path.text(longest=2048) if path else "/",
        port=read_port(port) if port else None,
    )
