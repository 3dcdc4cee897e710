"""What a mesh is made of: App Mesh's resources as frozen objects (seconds for durations, None for unset)."""

from dataclasses import dataclass
from typing import Literal

PER_REQUEST_TIMEOUT_S = 15.0
IDLE_TIMEOUT_S = 300.0
UNLIMITED = 2_147_483_647

HttpRetryEvent = Literal["server-error", "gateway-error", "client-error", "stream-error"]
TcpRetryEvent = Literal["connection-error"]
DnsResponse = Literal["LOADBALANCER", "ENDPOINTS"]


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long one request may take as a whole and how long it may stay silent; seconds, 0 disables."""

    per_request_s: float = PER_REQUEST_TIMEOUT_S
    idle_s: float = IDLE_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Which failures are tried again, how often, and how long one try may take (seconds, 0 = no limit of its own)."""

    max_retries: int
    per_retry_timeout_s: float
    http_events: frozenset[str] = frozenset()
    tcp_events: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """After how many server errors in a row an endpoint is left alone, and for how long."""

    max_server_errors: int
    interval_s: float
    base_ejection_s: float
    max_ejection_percent: int


@dataclass(frozen=True, slots=True)
class ConnectionPool:
    """How many connections one proxy may hold to a target, and how many requests may wait for one."""

    max_connections: int = UNLIMITED
    max_pending_requests: int = UNLIMITED


NO_LIMITS = ConnectionPool()
APP_MESH_TIMEOUT = Timeout()


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a virtual node's application listens, and what protects it."""

    port: int
    outlier_detection: OutlierDetection | None = None
    connection_pool: ConnectionPool = NO_LIMITS
    timeout: Timeout = APP_MESH_TIMEOUT


@dataclass(frozen=True, slots=True)
class StaticEndpoints:
    """Fixed ``host:port`` addresses of the proxies that stand before a virtual node (Meshscope's extension)."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dns:
    """A host name: one address that balances by itself (LOADBALANCER), or every address it resolves to (ENDPOINTS)."""

    hostname: str
    response: DnsResponse = "LOADBALANCER"


@dataclass(frozen=True, slots=True)
class VirtualNode:
    """One version of a service; the tags ``meshscope/service`` and ``meshscope/version`` say which."""

    name: str
    service: str
    version: str = ""
    listener: Listener | None = None
    discovery: StaticEndpoints | Dns | None = None
    backends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WeightedTarget:
    """A virtual node and its share of a route's requests, relative to the other targets."""

    virtual_node: str
    weight: int
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Requests whose path starts with ``prefix`` go to ``targets``. Priority 0 is asked first, None last."""

    name: str
    prefix: str
    targets: tuple[WeightedTarget, ...]
    priority: int | None = None
    retry: RetryPolicy | None = None
    timeout: Timeout = APP_MESH_TIMEOUT


@dataclass(frozen=True, slots=True)
class VirtualRouter:
    """Spreads the requests of a virtual service over virtual nodes."""

    name: str
    routes: tuple[Route, ...] = ()


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


@dataclass(frozen=True, slots=True)
class Mesh:
    """One mesh, whole and consistent: every name in it leads to something."""

    name: str
    virtual_services: tuple[VirtualService, ...] = ()
    virtual_routers: tuple[VirtualRouter, ...] = ()
    virtual_nodes: tuple[VirtualNode, ...] = ()

    def node(self, name: str) -> VirtualNode | None:
        """Return the virtual node of that name."""
        return next((node for node in self.virtual_nodes if node.name == name), None)

    def router(self, name: str) -> VirtualRouter | None:
        """Return the virtual router of that name."""
        return next((router for router in self.virtual_routers if router.name == name), None)
