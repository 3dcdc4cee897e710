"""What the demo is made of: services, who calls whom, and the ports of this run."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, StrictUndefined

CALLS: dict[str, tuple[str, ...]] = {
    "gateway": ("accounts", "payments"),
    "accounts": ("ledger",),
    "payments": ("fraud", "ledger", "notifications"),
    "fraud": (),
    "ledger": (),
    "notifications": (),
}
VERSIONS: dict[str, dict[str, int]] = {"payments": {"v1": 90, "v2": 10}}
"""Versions with their weights; a service not named here has only v1."""

FAILS_EVERY_S = 30
FAILS_FROM_S, FAILS_FOR_S = 12, 6
"""The ledger answers 500 for some seconds of every half minute."""

EDGES = {("external", "gateway")} | {(caller, callee) for caller, callees in CALLS.items() for callee in callees}


@dataclass(frozen=True, slots=True)
class Node:
    """One version of a service: its application and the proxy beside it."""

    service: str
    version: str
    weight: int
    app_port: int
    ingress_port: int
    egress_port: int
    admin_port: int

    @property
    def name(self) -> str:
        """Return the name of the virtual node."""
        return f"{self.service}-{self.version}"

    @property
    def calls(self) -> tuple[str, ...]:
        """Return the services that it calls."""
        return CALLS[self.service]


def nodes() -> list[Node]:
    """Return the nodes of the mesh, each with four free ports."""
    which = [(service, version, weight) for service in CALLS for version, weight in VERSIONS.get(service, {"v1": 100}).items()]
    ports = iter(free_ports(4 * len(which)))
    return [
        Node(service, version, weight, next(ports), next(ports), next(ports), next(ports)) for service, version, weight in which
    ]


def mesh_file(mesh: Iterable[Node]) -> str:
    """Return the text of the mesh file for these nodes."""
    every = list(mesh)
    template = resources.files(__package__).joinpath("mesh.yaml.j2").read_text("utf-8")
    # What is rendered is YAML with names of our own, not HTML.
    return (
        Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
        .from_string(template)
        .render(services=list(CALLS), nodes=every, targets={s: [n for n in every if n.service == s] for s in CALLS})
    )


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on now, all different."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()
