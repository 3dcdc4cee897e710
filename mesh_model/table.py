"""What one proxy routes by: hosts, routes and targets, compiled for the virtual node or the gateway it stands for."""

from dataclasses import dataclass

from mesh_model.endpoints import Discovery
from mesh_model.matches import EVERYTHING, Match
from mesh_model.options import NO_OPTIONS, Options
from mesh_model.resources import (
    APP_MESH_TIMEOUT,
    NO_LIMITS,
    AccessLog,
    ConnectionPool,
    HealthCheck,
    OutlierDetection,
    PortMapping,
    PortProtocol,
    RetryPolicy,
    Rewrite,
    Timeout,
)
from mesh_model.tls import ListenerTls, Origination

ANY_HOST = "*"
DEFAULT_ROUTE = "default"


@dataclass(frozen=True, slots=True)
class Target:
    """A listener of a virtual node as the proxy calls it: where it is found, what it speaks and what protects it.

    ``name`` is unique in its table: the virtual node's, with the port and the service it is called by where one node is
    several targets. ``options`` are the node's tags."""

    name: str
    virtual_node: str
    service: str
    version: str
    discovery: Discovery | None
    port: int = 0
    protocol: PortProtocol = "http"
    outlier_detection: OutlierDetection | None = None
    connection_pool: ConnectionPool = NO_LIMITS
    health_check: HealthCheck | None = None
    tls: Origination | None = None
    options: Options = NO_OPTIONS


@dataclass(frozen=True, slots=True)
class Choice:
    """One target of a route, by its name, and its weight relative to the others (above 0)."""

    target: str
    weight: int


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """Where requests (with the protocol tcp: connections) that ``match`` go.

    ``retry`` None means: the mesh's default policy outbound, no retries inbound. ``rewrite`` is what a gateway changes,
    ``behind`` what the rewritten request must match too, ``mirror`` the target that gets a copy. ``options`` are the tags of
    the service and, over them, the route."""

    name: str
    virtual_service: str
    choices: tuple[Choice, ...]
    match: Match = EVERYTHING
    timeout: Timeout = APP_MESH_TIMEOUT
    retry: RetryPolicy | None = None
    protocol: PortProtocol = "http"
    rewrite: Rewrite | None = None
    behind: Match | None = None
    mirror: str = ""
    options: Options = NO_OPTIONS

    @property
    def path(self) -> str:
        """The path of the match as text: what stands for all the paths of this route."""
        return self.match.path.text


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """The routes for one host, in the order in which they are asked.

    The host ``*`` answers for all others, ``*.example.com`` for all that end so (the longest ending first). ``ports`` are
    those its router (or node) listens on; ``tcp`` are the routes for connections that nobody looks into."""

    host: str
    routes: tuple[RouteEntry, ...]
    tcp: tuple[RouteEntry, ...] = ()
    ports: tuple[PortMapping, ...] = ()


@dataclass(frozen=True, slots=True)
class Ingress:
    """One listener of the virtual node or gateway. ``application`` is the node's own, reached from here; a gateway has none."""

    port: int
    protocol: PortProtocol
    hosts: tuple[VirtualHost, ...]
    application: Target | None = None
    tls: ListenerTls | None = None


@dataclass(frozen=True, slots=True)
class RouteTable:
    """Everything one proxy routes by; ``virtual_node`` may be a virtual gateway's name. ``pass_through``: hosts that the mesh
    does not know may be called too (ALLOW_ALL). ``options`` are the tags of the node or gateway."""

    mesh: str
    virtual_node: str
    service: str
    version: str
    egress: tuple[VirtualHost, ...]
    ingress: tuple[Ingress, ...]
    targets: tuple[Target, ...]
    pass_through: bool = False
    access_log: AccessLog | None = None
    options: Options = NO_OPTIONS
