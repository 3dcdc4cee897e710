"""What a mesh is made of: App Mesh's resources as frozen objects (seconds for durations, None for unset)."""

from dataclasses import dataclass
from typing import Literal

from mesh_model.endpoints import Discovery, IpPreference
from mesh_model.matches import EVERYTHING, Match
from mesh_model.options import NO_OPTIONS, Options
from mesh_model.tls import ClientTls, ListenerTls

PER_REQUEST_TIMEOUT_S = 15.0
IDLE_TIMEOUT_S = 300.0
UNLIMITED = 2_147_483_647

PortProtocol = Literal["http", "http2", "grpc", "tcp"]
EgressFilter = Literal["DROP_ALL", "ALLOW_ALL"]


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long one request may take as a whole and how long it may stay silent; seconds, 0 disables.

    For tcp only ``idle_s`` counts."""

    per_request_s: float = PER_REQUEST_TIMEOUT_S
    idle_s: float = IDLE_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Which failures are tried again, how often, and how long one try may take (seconds, 0 = no limit of its own)."""

    max_retries: int
    per_retry_timeout_s: float
    http_events: frozenset[str] = frozenset()
    tcp_events: frozenset[str] = frozenset()
    grpc_events: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """After how many server errors in a row an endpoint is left alone, and for how long."""

    max_server_errors: int
    interval_s: float
    base_ejection_s: float
    max_ejection_percent: int


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How an endpoint is asked whether it is well; ``port`` None: the listener's. ``path`` goes with http and http2."""

    protocol: PortProtocol
    healthy_threshold: int
    unhealthy_threshold: int
    interval_s: float
    timeout_s: float
    path: str = "/"
    port: int | None = None


@dataclass(frozen=True, slots=True)
class ConnectionPool:
    """How many connections one proxy may hold to a target, and how many requests may wait for one (http) or run (http2, grpc)."""

    max_connections: int = UNLIMITED
    max_pending_requests: int = UNLIMITED
    max_requests: int = UNLIMITED


NO_LIMITS = ConnectionPool()
APP_MESH_TIMEOUT = Timeout()


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A port and what is spoken at it."""

    port: int
    protocol: PortProtocol = "http"


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a virtual node's application listens (or a gateway's clients call), what is spoken there, and what protects it."""

    port: int
    protocol: PortProtocol = "http"
    outlier_detection: OutlierDetection | None = None
    connection_pool: ConnectionPool = NO_LIMITS
    timeout: Timeout = APP_MESH_TIMEOUT
    health_check: HealthCheck | None = None
    tls: ListenerTls | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """A virtual service that a node may call, and the client policy for it (None: the node's)."""

    virtual_service: str
    tls: ClientTls | None = None


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Where requests are logged, and how: as ``text``, as an object of ``json``, or (neither) in the default format."""

    path: str
    text: str | None = None
    json: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class VirtualNode:
    """One version of a service; the tags ``meshscope/service`` and ``meshscope/version`` say which."""

    name: str
    service: str
    version: str = ""
    listeners: tuple[Listener, ...] = ()
    discovery: Discovery | None = None
    backends: tuple[Backend, ...] = ()
    backend_tls: ClientTls | None = None
    access_log: AccessLog | None = None
    options: Options = NO_OPTIONS

    def listener(self, port: int | None, protocol: PortProtocol = "http") -> Listener | None:
        """Return the listener at ``port``; without a port the first of that protocol, else the first."""
        if port is not None:
            return next((each for each in self.listeners if each.port == port), None)
        return next((each for each in self.listeners if each.protocol == protocol), next(iter(self.listeners), None))


@dataclass(frozen=True, slots=True)
class WeightedTarget:
    """A virtual node and its share of a route's requests, relative to the other targets; ``port`` names its listener."""

    virtual_node: str
    weight: int
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Requests (with tcp: connections) that ``match`` go to ``targets``. Priority 0 is asked first, None last."""

    name: str
    match: Match
    targets: tuple[WeightedTarget, ...]
    protocol: PortProtocol = "http"
    priority: int | None = None
    retry: RetryPolicy | None = None
    timeout: Timeout = APP_MESH_TIMEOUT
    options: Options = NO_OPTIONS


@dataclass(frozen=True, slots=True)
class VirtualRouter:
    """Spreads the requests of a virtual service over virtual nodes."""

    name: str
    listeners: tuple[PortMapping, ...] = ()
    routes: tuple[Route, ...] = ()
    options: Options = NO_OPTIONS


@dataclass(frozen=True, slots=True)
class Provider:
    """Who answers for a virtual service."""

    kind: Literal["virtualNode", "virtualRouter"]
    name: str


@dataclass(frozen=True, slots=True)
class VirtualService:
    """The name applications call, and its provider (None: it exists, and nobody answers)."""

    name: str
    provider: Provider | None = None
    options: Options = NO_OPTIONS


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a gateway changes in a request; None leaves it. ``prefix`` replaces the matched one, ``path`` all of the path."""

    host: str | None = None
    prefix: str | None = None
    path: str | None = None


NO_REWRITE = Rewrite()


@dataclass(frozen=True, slots=True)
class GatewayRoute:
    """Requests from outside that ``match`` become requests to a virtual service. Priority 0 is asked first, None last."""

    name: str
    virtual_service: str
    protocol: PortProtocol = "http"
    match: Match = EVERYTHING
    rewrite: Rewrite = NO_REWRITE
    priority: int | None = None
    port: int | None = None
    options: Options = NO_OPTIONS


@dataclass(frozen=True, slots=True)
class VirtualGateway:
    """Where requests from outside the mesh come in; ``service`` and ``version`` are from tags, as a node's."""

    name: str
    service: str
    version: str
    listeners: tuple[Listener, ...]
    routes: tuple[GatewayRoute, ...] = ()
    backend_tls: ClientTls | None = None
    access_log: AccessLog | None = None
    options: Options = NO_OPTIONS


@dataclass(frozen=True, slots=True)
class Mesh:
    """One mesh, whole and consistent: every name in it leads to something."""

    name: str
    virtual_services: tuple[VirtualService, ...] = ()
    virtual_routers: tuple[VirtualRouter, ...] = ()
    virtual_nodes: tuple[VirtualNode, ...] = ()
    virtual_gateways: tuple[VirtualGateway, ...] = ()
    egress_filter: EgressFilter = "DROP_ALL"
    ip_preference: IpPreference | None = None
    options: Options = NO_OPTIONS

    def node(self, name: str) -> VirtualNode | None:
        """Return the virtual node of that name."""
        return next((node for node in self.virtual_nodes if node.name == name), None)

    def router(self, name: str) -> VirtualRouter | None:
        """Return the virtual router of that name."""
        return next((router for router in self.virtual_routers if router.name == name), None)

    def service(self, name: str) -> VirtualService | None:
        """Return the virtual service of that name."""
        return next((service for service in self.virtual_services if service.name == name), None)

    def gateway(self, name: str) -> VirtualGateway | None:
        """Return the virtual gateway of that name."""
        return next((gateway for gateway in self.virtual_gateways if gateway.name == name), None)
