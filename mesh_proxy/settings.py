"""What a proxy is told from outside."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Which mesh file (or folder) to follow, which virtual node to stand beside, where to listen (port 0: any free one), where
    to report; ``zone`` is where it runs; ``dns_server`` (host:port) is asked instead of the system's.

    ``gateway``: ``virtual_node`` names a virtual gateway to stand for. ``listener_ports``: the first listener is served at
    ``ingress_port``, each further one (by its port) at the port given for it. Of the traces that begin here
    ``trace_share`` (0 to 1) are recorded. ``sockets`` that somebody else listens with are taken over, by door (or ``admin``) and
    file descriptor."""

    mesh_file: Path
    virtual_node: str
    host: str = "127.0.0.1"
    ingress_port: int = 15000
    egress_port: int = 15001
    admin_port: int = 9901
    otlp_endpoint: str | None = None
    instance_id: str = ""
    drain_seconds: float = 10.0
    max_connections: int = 10_000
    max_body_bytes: int | None = None
    zone: str = ""
    gateway: bool = False
    dns_server: str | None = None
    listener_ports: tuple[tuple[int, int], ...] = ()
    trace_share: float = 1.0
    sockets: tuple[tuple[str, int], ...] = ()


def door_of(listener: int) -> str:
    """Return the name of the door that serves a further listener, by its port."""
    return f"ingress {listener}"
